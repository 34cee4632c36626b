// The work view: one task, with keys or pointer. One key means one thing at a time: first what it means for the
// question at hand (``data-key`` inside its row), then for the page.
(() => {
  const { Keeper, call } = rallrec.keeping;
  const typing = (node) => node.closest?.("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])");
  const MOVES = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

  rallrec.LabelWork = class {
    // ``go(url)`` shows another address, ``next(project)`` the next task.
    constructor(root, { account, go, next }) {
      Object.assign(this, { root, go, next, undone: [] });
      const { task, project, draft } = root.dataset;
      const kept = JSON.parse(draft);
      this.project = project;
      this.notices = new rallrec.LabelNotices(root);
      this.sheet = new rallrec.LabelSheet(root);
      this.history = new rallrec.LabelHistory(root);
      this.keeper = new Keeper({
        account, project, task, draft: kept,
        told: (...state) => this.notices.state(...state),
        ask: (theirs, ours) => this.notices.ask(theirs, ours),
        take: (judgement) => this.sheet.show(judgement),
      });
      this.timer = new rallrec.LabelTimer(root, this.keeper.seconds);
      this.listen();
      this.sheet.show(this.keeper.judgement);
      if (kept.at) this.notices.state("saved", kept.at);
      this.recover(kept);
      const { rows } = this.sheet;
      this.to(rows.find((row) => this.sheet.open(row)) ?? rows[0], true);
    }

    async recover(kept) {
      if (!(await this.keeper.recover(kept))) return;
      this.sheet.show(this.keeper.judgement);
      this.timer.seconds = Math.max(this.timer.seconds, this.keeper.seconds);
      this.keeper.save();
    }

    listen() {
      const on = (target, kind, heard) => {
        target.addEventListener(kind, heard);
        this.undone.push(() => target.removeEventListener(kind, heard));
      };
      on(document, "keydown", (event) => this.key(event));
      on(window, "pagehide", () => this.leave());
      on(document, "visibilitychange", () => { if (document.hidden) this.keeper.save(); });
      const { root } = this;
      root.addEventListener("click", (event) => this.click(event));
      root.addEventListener("focusin", (event) => this.at(event.target.closest(".row[data-row]")));
      root.addEventListener("input", (event) => { if (event.target.matches("#comment, #corrected")) this.changed(); });
      root.querySelector(".corrected")?.addEventListener("toggle", (event) => this.correct(event.target));
      root.querySelector(".other-reason").addEventListener("submit", (event) => {
        event.preventDefault();
        this.skip(root.querySelector("#skip-reason").value.trim());
      });
    }

    leave() {
      this.keeper.leave(this.timer.tick());
    }

    close(forget) {
      if (!forget) this.leave();
      this.undone.forEach((undo) => undo());
      this.timer.stop();
      this.keeper.close(forget);
    }

    changed() {
      this.sheet.lacking([]);
      this.sheet.draw();
      this.keeper.changed(this.sheet.read(), this.timer.tick());
    }

    choose(button) {
      this.sheet.mark(button.closest(".row"), button.dataset.value);
      this.changed();
    }

    // ---- where one is

    at(row) {
      if (!row?.dataset.row || row === this.current) return;
      this.current?.classList.remove("current");
      this.current = row;
      row.classList.add("current");
      this.sheet.list(row);
      this.history.of(row);
    }

    to(row, quiet) {
      if (!row) return;
      this.at(row);
      row.focus({ preventScroll: true });
      if (!quiet) row.scrollIntoView({ block: "nearest" });
    }

    move(by) {
      const rows = this.sheet.rows.filter((row) => !row.classList.contains("spared"));
      const finish = this.root.querySelector("[data-do=submit]");
      const place = document.activeElement === finish ? rows.length : rows.indexOf(this.current);
      const next = Math.max(0, place + by);
      if (next < rows.length) this.to(rows[next]);
      else { finish.focus({ preventScroll: true }); finish.scrollIntoView({ block: "nearest" }); }
    }

    // ---- keys and pointer

    key(event) {
      const dialog = this.root.querySelector("dialog[open]");
      if (event.defaultPrevented || event.isComposing || this.root.classList.contains("sending")) return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !dialog) { event.preventDefault(); this.submit(); return; }
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (typing(event.target)) {
        if (event.key === "Escape" && !dialog) { event.preventDefault(); this.to(this.current); }
        return;
      }
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const pressed = dialog ? dialog.querySelector(`[data-key="${CSS.escape(key)}"]`) : this.meant(key);
      if (pressed) { event.preventDefault(); this.press(pressed); return; }
      if (!dialog) this.steer(event, key);
    }

    steer(event, key) {
      // A region that scrolls keeps its arrows; a button, link or fold that has the focus keeps its Enter.
      if (MOVES[key] && !(key.startsWith("Arrow") && event.target.closest(".past-scroll"))) this.move(MOVES[key]);
      else if (key === "ArrowLeft" || key === "ArrowRight") { this.along(event, key === "ArrowRight" ? 1 : -1); return; }
      else if (key === "/") this.root.querySelector("#find-past").focus();
      else if (key === "Enter" && !event.target.closest("button, a, summary, input")) this.submit();
      else return;
      event.preventDefault();
    }

    // What a key means now: in the row at hand, else on the page.
    meant(key) {
      const shown = (node) => !node.closest("[hidden]");
      const quoted = `[data-key="${CSS.escape(key)}"]`;
      const here = [...(this.current?.querySelectorAll(quoted) ?? [])].find(shown);
      return here ?? [...this.root.querySelectorAll(quoted)].find((node) => shown(node) && !node.closest(".row, dialog"));
    }

    press(node) {
      if (node.matches("[role=radio]")) {
        this.choose(node);
        // A bad step waits for what is wrong with it.
        if (node.dataset.value === "bad") this.to(this.current);
        else this.move(1);
      } else if (node.tagName === "LABEL") this.root.querySelector(`#${node.htmlFor}`).focus();
      else node.click();
    }

    along(event, by) {
      const all = [...(event.target.closest("[role=radiogroup]")?.querySelectorAll("[role=radio]") ?? [])];
      const place = all.indexOf(event.target);
      if (place < 0) return;
      event.preventDefault();
      all[(place + by + all.length) % all.length].focus();
    }

    click(event) {
      const node = event.target.closest("button");
      const row = event.target.closest(".row[data-row]");
      this.at(row);
      if (!node) return;
      // After the pointer, Enter is for the page again.
      const back = () => { if (event.detail) (row ?? this.current)?.focus({ preventScroll: true }); };
      if (node.matches("[role=radio]")) {
        this.choose(node);
        back();
      } else if (node.matches("[data-tag], [data-flag]")) {
        node.setAttribute("aria-pressed", node.getAttribute("aria-pressed") !== "true");
        this.changed();
        back();
      } else if (node.dataset.close !== undefined) node.closest("dialog").close();
      else if (node.dataset.reason) this.skip(node.dataset.reason);
      else if (node.dataset.do) this[node.dataset.do]();
    }

    correct(fold) {
      const field = fold.querySelector("textarea");
      if (!fold.open) return;
      if (!field.value) field.value = field.dataset.text;
      if (document.activeElement?.closest(".corrected")) field.focus();
    }

    // ---- what is done with the task

    async submit() {
      const open = this.sheet.rows.filter((row) => this.sheet.open(row));
      if (open.length) { this.lacking(open.map((row) => ({ where: row.dataset.row, says: this.sheet.lack(row) }))); return; }
      this.root.classList.add("sending");
      this.keeper.judgement = this.sheet.read();
      const answer = await this.keeper.submit(this.timer.tick());
      this.root.classList.remove("sending");
      if (!answer) return;
      if (answer.ok) {
        this.close(true);
        await this.next(this.project);
        return;
      }
      if (answer.status !== 422) { this.notices.state("refused", answer.said.problem, answer.status); return; }
      this.notices.state("saved", new Date());
      this.lacking(answer.said.problems);
    }

    lacking(problems) {
      this.to(this.sheet.lacking(problems));
      this.root.querySelector(".lacks").textContent = problems[0].says;
    }

    async skip(reason) {
      const dialog = this.root.querySelector("dialog.skip"), said = dialog.querySelector(".said");
      if (reason === undefined) { said.textContent = ""; dialog.showModal(); return; }
      if (!reason) { said.textContent = "Say why, in a word or two."; return; }
      await this.pass("skip", { reason });
    }

    // Puts it back into the queue, with what was said so far.
    async later() {
      await this.keeper.settled();
      await this.pass("requeue", {});
    }

    async pass(path, more) {
      const dialog = this.root.querySelector("dialog.skip"), said = dialog.querySelector(".said");
      const done = await this.act(path, { task: this.root.dataset.task, ...more }, (why) => { said.textContent = why; });
      if (!done) return;
      dialog.close();
      this.close(true);
      await this.next(this.project);
    }

    async undo() {
      await this.keeper.settled();
      const done = await this.act("undo", { project: this.project });
      if (!done) return;
      if (!done.task) { this.notices.say("Nothing is left to take back."); return; }
      this.close(false);
      this.go(`/label?${new URLSearchParams({ project: this.project, view: "work", task: done.task.task })}`);
    }

    async leaveAsItWas() {
      const done = await this.act("leave", { label: this.root.querySelector("[data-label]").dataset.label });
      if (!done) return;
      this.close(true);
      this.go(`/label?${new URLSearchParams({ project: this.project, view: "mine" })}`);
    }

    async act(path, body, problem = (why) => this.notices.say(why)) {
      try {
        const { ok, said } = await call(path, body);
        if (ok) return said;
        problem(said.problem);
      } catch (error) { problem(`Not done: ${error.message}. Try again.`); }
      return null;
    }

    guide() {
      const pane = this.root.querySelector("#guidelines");
      pane.hidden = !pane.hidden;
      this.root.querySelector("[data-do=guide]").setAttribute("aria-expanded", !pane.hidden);
      if (!pane.hidden) pane.scrollIntoView({ block: "nearest" });
    }

    keys() {
      this.root.querySelector("dialog.keys").showModal();
    }
  };
})();
