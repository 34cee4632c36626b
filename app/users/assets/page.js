// Every control of the Users page is a link to another state of it. A plain click asks for that state without a new page.
let kept = null;
element.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-go]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const whose = (address) => new URLSearchParams(address).get("user");
  if (whose(link.search) !== whose(location.search)) window.scrollTo(0, 0);
  kept = link.dataset.go;
  history.pushState(null, "", link.href);
  trigger("select", { query: link.search });
});
// What was clicked is drawn anew: the keyboard stays where it was.
watch("value", () => {
  if (kept === null || (document.activeElement && document.activeElement !== document.body)) return;
  element.querySelector(`a[data-go="${CSS.escape(kept)}"]`)?.focus({ preventScroll: true });
});
