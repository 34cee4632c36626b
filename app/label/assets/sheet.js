// The sheet of a task: its rows (a step, a scale, a question) and what is said in them, as a judgement in JSON.
(() => {
  const chosen = (row) => row.querySelector("[role=radio][aria-checked=true]");
  const parts = (row) => row.dataset.row.split(":");

  rallrec.LabelSheet = class {
    constructor(root) {
      this.root = root;
      this.rows = [...root.querySelectorAll(".row[data-row]")].filter((row) => row.dataset.row);
      this.flag = root.querySelector("[data-flag]");
      this.corrected = root.querySelector("#corrected");
      this.comment = root.querySelector("#comment");
      const numbers = (event) => event.target.closest(".numbers button");
      for (const kind of ["pointerover", "focusin"]) root.addEventListener(kind, (event) => this.anchor(numbers(event)));
      for (const kind of ["pointerout", "focusout"]) root.addEventListener(kind, (event) => { if (numbers(event)) this.anchor(null); });
    }

    answered(row) {
      return chosen(row) !== null || row.classList.contains("spared");
    }

    // Whether it still waits for something: an answer, or what is wrong with a bad step.
    open(row) {
      return !this.answered(row) || (row.classList.contains("step") && chosen(row)?.dataset.value === "bad" && !row.querySelector("[data-tag][aria-pressed=true]"));
    }

    lack(row) {
      return this.answered(row) ? "A bad step needs at least one reason: what is wrong with it?" : `${this.rows.filter((own) => this.open(own)).length} of ${this.rows.length} still to be said`;
    }

    read() {
      const judgement = { steps: {}, scales: {} };
      for (const row of this.rows) {
        const value = chosen(row)?.dataset.value;
        if (value === undefined) continue;
        const [kind, name] = parts(row);
        const tags = [...row.querySelectorAll("[data-tag][aria-pressed=true]")].map((tag) => tag.dataset.tag);
        if (kind === "step") judgement.steps[name] = { value, tags: value === "bad" ? tags : [] };
        else if (kind === "scale") judgement.scales[name] = Number(value);
        else judgement[kind] = kind === "confidence" ? Number(value) : value;
      }
      judgement.missing_step = this.flag?.getAttribute("aria-pressed") === "true";
      const written = this.corrected?.value ?? "";
      judgement.corrected = written === this.corrected?.dataset.text ? "" : written;
      judgement.comment = this.comment.value;
      return judgement;
    }

    show(judgement) {
      for (const row of this.rows) {
        const [kind, name] = parts(row);
        const said = { step: judgement.steps?.[name]?.value, scale: judgement.scales?.[name] };
        const value = kind in said ? said[kind] : judgement[kind];
        this.mark(row, value === null || value === undefined ? undefined : String(value));
        const tags = judgement.steps?.[name]?.tags ?? [];
        row.querySelectorAll("[data-tag]").forEach((tag) => tag.setAttribute("aria-pressed", tags.includes(tag.dataset.tag)));
      }
      this.flag?.setAttribute("aria-pressed", Boolean(judgement.missing_step));
      if (this.corrected) {
        this.corrected.value = judgement.corrected ?? "";
        if (judgement.corrected) this.corrected.closest("details").open = true;
      }
      this.comment.value = judgement.comment ?? "";
      this.draw();
    }

    // Chooses in a row; only the chosen choice, or else the first, is a stop of the Tab key.
    mark(row, value) {
      const all = [...row.querySelectorAll("[role=radio]")];
      all.forEach((one) => one.setAttribute("aria-checked", one.dataset.value === value));
      const stop = all.find((one) => one.dataset.value === value) ?? all[0];
      all.forEach((one) => { one.tabIndex = one === stop ? 0 : -1; });
      const tags = row.querySelector(".tags");
      if (!tags) return;
      tags.hidden = value !== "bad";
      if (value !== "bad") tags.querySelectorAll("[data-tag]").forEach((tag) => tag.setAttribute("aria-pressed", false));
    }

    // What follows from what is said: spared steps, anchors in words, how much is still to be said.
    draw() {
      let behind = false;
      for (const row of this.rows.filter((one) => one.classList.contains("step"))) {
        row.classList.toggle("spared", Boolean(this.root.dataset.firstError) && behind);
        behind ||= chosen(row)?.dataset.value === "bad";
      }
      this.anchor(null);
      const open = this.rows.filter((row) => this.open(row)).length;
      this.root.querySelector(".lacks").textContent = open ? `${open} of ${this.rows.length} still to be said` : "";
      this.root.querySelector("[data-do=submit]").classList.toggle("ready", !open);
    }

    // What is lacking, marked; returns the first such row.
    lacking(problems) {
      const where = new Set(problems.map((problem) => problem.where));
      this.rows.forEach((row) => row.classList.toggle("lacking", where.has(row.dataset.row)));
      return this.rows.find((row) => where.has(row.dataset.row));
    }

    // Says what a number means: the one under the pointer or focus, else the chosen one, in its row and in the list.
    anchor(button) {
      if (button) this.list(button.closest(".row"));
      for (const row of this.root.querySelectorAll(".row:has(.numbers)")) {
        const place = row.querySelector(".anchor");
        const shown = (button && row.contains(button) ? button : null) ?? chosen(row);
        place.textContent = shown ? shown.getAttribute("aria-label").slice(3) : place.dataset.asks;
        place.classList.toggle("soft", !shown);
        this.root.querySelectorAll(`[data-of="${row.dataset.row}"] li`).forEach((one) => one.classList.toggle("now", one.dataset.n === shown?.dataset.value));
      }
    }

    // The list of all anchors is that of the scale at hand.
    list(row) {
      const of = row && this.root.querySelector(`[data-of="${row.dataset.row}"]`);
      if (of) this.root.querySelectorAll("[data-of]").forEach((one) => { one.hidden = one !== of; });
    }
  };
})();
