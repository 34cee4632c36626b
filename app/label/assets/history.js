// The user's history beside a task: found by words, and pointed at by the titles that the step at hand
// names.
(() => {
  rallrec.LabelHistory = class {
    constructor(root) {
      this.root = root;
      this.words = root.querySelector("#find-past");
      this.only = root.querySelector("#only-retrieved");
      this.words.addEventListener("input", () => this.find());
      this.only.addEventListener("change", () => this.find());
      this.scroller = root.querySelector(".past-scroll");
      root.addEventListener("click", (event) => {
        const title = event.target.closest("[data-past]");
        if (!title) return;
        root.querySelector(".past").open = true;
        this.point(title.dataset.past);
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

    // Marks the lines of these items and brings the first of them into sight, without moving the page.
    point(...items) {
      this.root.querySelectorAll("tr.pointed").forEach((other) => other.classList.remove("pointed"));
      const rows = items.map((item) => this.root.querySelector(`.past tr[data-item="${CSS.escape(item)}"]`)).filter(Boolean);
      if (!rows.length) return;
      if (rows.some((row) => row.hidden)) { this.words.value = ""; this.only.checked = false; this.find(); }
      rows.forEach((row) => row.classList.add("pointed"));
      const top = (node) => node.getBoundingClientRect().top, [first] = rows.sort((one, other) => top(one) - top(other));
      const room = this.scroller.clientHeight, head = this.scroller.querySelector("thead").offsetHeight;
      const above = top(first) - top(this.scroller) - head;
      if (above < 0 || above + first.offsetHeight > room - head) this.scroller.scrollTop += above - Math.min(60, room / 4);
    }

    // What the step at hand cites.
    of(row) {
      const items = [...row.querySelectorAll("[data-past]")].map((title) => title.dataset.past);
      if (row.classList.contains("step")) this.point(...items);
    }
  };
})();
