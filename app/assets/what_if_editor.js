// A panel of controls that the server draws anew: each says what it does, and keeps the focus while it is redrawn.
const send = (control, value) => trigger("select", { do: control.dataset.do, name: control.dataset.name ?? "", value });
// The fold of further settings, as it was left: a redraw keeps to it.
let open = null;
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  const fold = event.target.closest("summary")?.parentElement;
  if (fold) open = !fold.open;
  if (!button) return;
  const field = button.dataset.from && element.querySelector(`#${button.dataset.from}`);
  send(button, field ? field.value : "");
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
element.addEventListener("focusin", (event) => { held = event.target.dataset.key ?? null; });
element.addEventListener("focusout", (event) => { if (event.relatedTarget) held = null; });
watch("value", () => requestAnimationFrame(() => {
  const fold = element.querySelector("details.more");
  if (fold && open !== null) fold.open = open;
  if (held === null || (document.activeElement && document.activeElement !== document.body)) return;
  element.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}));
