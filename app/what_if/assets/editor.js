// A panel of controls that the server draws anew: each says what it does, and keeps the focus while it is redrawn.
const send = (control, value) => trigger("select", { do: control.dataset.do, name: control.dataset.name ?? "", value });
// Folds by their names, as they were left, and the text that was typed and is not applied: a redraw keeps to both.
const folds = new Map();
let draft = null;
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  const fold = event.target.closest("summary")?.parentElement;
  if (fold) folds.set(fold.dataset.fold, !fold.open);
  if (!button) return;
  if (button.dataset.do === "written") draft = null;
  const field = button.dataset.from && element.querySelector(`#${button.dataset.from}`);
  send(button, field ? field.value : "");
});
element.addEventListener("input", (event) => {
  if (event.target.matches("[data-draft]")) draft = event.target.value;
});
element.addEventListener("change", (event) => {
  const field = event.target.closest("input[data-do], select[data-do]");
  if (field) send(field, field.value);
});
element.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const name = event.target.dataset.enter;
  if (name) element.querySelector(`button[data-do="${name}"]`)?.click();
});
let held = null;
// The focus is in one panel alone: what another one was left with is not to be given back.
document.addEventListener("focusin", (event) => {
  held = element.contains(event.target) ? event.target.dataset.key ?? null : null;
});
element.addEventListener("focusout", (event) => { if (event.relatedTarget) held = null; });
watch("value", () => requestAnimationFrame(() => {
  const field = element.querySelector("[data-draft]");
  if (field && draft !== null) {
    if (field.value !== draft.trim()) field.value = draft;
    else {  // it was applied
      draft = null;
      folds.set("edit", false);
      held = "edit the prompt";
    }
  }
  for (const [name, open] of folds) {
    const fold = element.querySelector(`details[data-fold="${name}"]`);
    if (fold) fold.open = open;
  }
  if (held === null || (document.activeElement && document.activeElement !== document.body)) return;
  element.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}));
