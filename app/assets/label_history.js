// The user's history beside a task: found by words, and pointed at from the titles that a step names.
(() => {
  rallrec.LabelHistory = class {
    constructor(root) {
      this.root = root;
      this.words = root.querySelector("#find-past");
      this.only = root.querySelector("#only-retrieved");
      this.words.addEventListener("input", () => this.find());
      this.only.addEventListener("change", () => this.find());
      root.addEventListener("click", (event) => {
        const title = event.target.closest("[data-past]");
        if (title) this.point(title.dataset.past);
      });
    }

    find() {
      const words = this.words.value.toLowerCase().split(/\s+/).filter(Boolean), only = this.only.checked;
      let shown = 0;
      for (const row of this.root.querySelectorAll(".past tbody tr")) {
        const text = row.cells[0].textContent.toLowerCase();
        row.hidden = (only && !row.classList.contains("shown")) || !words.every((word) => text.includes(word));
        if (!row.hidden) shown += 1;
      }
      this.root.querySelector(".past-count").textContent = words.length || only ? `${shown} found` : "";
    }

    point(item) {
      const row = this.root.querySelector(`.past tr[data-item="${CSS.escape(item)}"]`);
      if (!row) return;
      row.closest("details").open = true;
      if (row.hidden) { this.words.value = ""; this.only.checked = false; this.find(); }
      this.root.querySelectorAll("tr.pointed").forEach((other) => other.classList.remove("pointed"));
      row.classList.add("pointed");
      row.scrollIntoView({ block: "nearest" });
    }
  };
})();
