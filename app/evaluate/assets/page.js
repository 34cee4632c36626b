// Every control of the Evaluate page is a link to another state of it; the sliders move the address as they go.
let kept = null;
const tell = (what) => { rallrec.evaluating = what; trigger("select", {}); };
element.addEventListener("click", (event) => {
  if (event.target.closest("[data-start]")) return tell("start");
  const link = event.target.closest("a[data-go]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  kept = link.dataset.go;
  const to = new URL(link.getAttribute("href"), location.href);  // a drawing's link has no "search" of its own
  history.pushState(null, "", to);
  tell("link");
});
element.addEventListener("input", (event) => {
  const slider = event.target.closest("[data-live]");
  if (!slider) return;
  const name = slider.dataset.live, value = Number(slider.value), query = new URLSearchParams(location.search);
  query.set(name, name === "epsilon" ? Number(Math.pow(10, value).toPrecision(4)) : value);
  slider.nextElementSibling.innerHTML = name === "epsilon" ? `10<sup>${value.toFixed(1)}</sup>` : value.toFixed(2);
  history.replaceState(null, "", `${location.pathname}?${query}`);  // the page's base is the site's root
  tell("slide");
});
// What was clicked is drawn anew: the keyboard stays where it was.
watch("value", () => {
  if (kept === null || (document.activeElement && document.activeElement !== document.body)) return;
  element.querySelector(`[data-go="${CSS.escape(kept)}"]`)?.focus({ preventScroll: true });
});
