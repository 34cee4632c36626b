const parts = () => ({ input: element.querySelector("input"), list: element.querySelector("ul") });
const fill = () => { parts().input.value = props.value ?? ""; };
watch(["value", "within"], fill);
fill();
let asked = 0, active = -1, timer;
const close = () => {
  const { input, list } = parts();
  list.hidden = true;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
  active = -1;
};
const mark = (index) => {
  const { input, list } = parts();
  const rows = [...list.children];
  if (!rows.length) return;
  active = (index + rows.length) % rows.length;
  rows.forEach((row, i) => row.setAttribute("aria-selected", String(i === active)));
  rows[active].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", rows[active].id);
};
const show = (found) => {
  const { input, list } = parts();
  list.replaceChildren(...found.map(([label, id], i) => {
    const row = document.createElement("li");
    row.id = `${list.id}-${i}`;
    row.role = "option";
    row.dataset.id = id;
    row.textContent = label;
    return row;
  }));
  if (!found.length) list.textContent = "Nothing found.";
  list.hidden = false;
  input.setAttribute("aria-expanded", "true");
  active = -1;
};
const search = async (text) => {
  const mine = ++asked;
  const found = await server.search({ text, within: props.within });
  if (mine === asked && document.activeElement === parts().input) show(found);
};
const choose = (row) => {
  const { input } = parts();
  asked++;
  input.value = row.textContent;
  close();
  trigger("select", { id: row.dataset.id });
};
element.addEventListener("focusin", (event) => {
  if (event.target !== parts().input) return;
  parts().input.dataset.before = parts().input.value;
  parts().input.select();
  search("");
});
element.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => search(parts().input.value), 100);
});
element.addEventListener("keydown", (event) => {
  const { input, list } = parts();
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (list.hidden) search(""); else mark(active + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    const row = list.children[Math.max(active, 0)];
    if (!list.hidden && row) choose(row);
  } else if (event.key === "Escape") {
    input.value = input.dataset.before;
    close();
  }
});
// mousedown, not click: the box must not lose its focus first.
element.addEventListener("mousedown", (event) => {
  const row = event.target.closest("li");
  if (!row) return;
  event.preventDefault();
  choose(row);
});
element.addEventListener("focusout", () => {
  const { input } = parts();
  clearTimeout(timer);
  asked++;
  if (!parts().list.hidden) input.value = input.dataset.before;
  close();
});
