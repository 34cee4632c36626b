// Links between Predict and What-if carry the view along: what one page asks, the other opens on.
(() => {
  const pages = ["/", "/what-if"];
  const carry = (event) => {
    const link = event.target.closest?.("a[href]");
    const query = new URLSearchParams(location.search);
    // A link with a query of its own says where it leads, but for one that names a past item to leave out.
    if (!link || !pages.includes(link.pathname) || !pages.includes(location.pathname)) return;
    if (link.pathname === location.pathname || (link.search && !link.dataset.carried)) return;
    for (const own of ["near", "edits", "id"]) query.delete(own);
    if (link.dataset.without) query.set("edits", JSON.stringify({ removed: [link.dataset.without] }));
    link.search = query.toString();
    link.dataset.carried = "yes";
  };
  // Before the link is followed, opened in another tab, or copied.
  for (const kind of ["pointerdown", "focusin", "click"]) document.addEventListener(kind, carry, true);
})();
// What is too long for an address is left out of it: the page says so, and it can be kept.
window.rallrec.showWhatIf = (link, push, most) => {
  if (push) {
    rallrec.mended();
    // Why an edit was not made is said beside the buttons, which may be out of sight of it.
    requestAnimationFrame(() => document.querySelector("#status .error")?.scrollIntoView({ block: "nearest" }));
  }
  const query = new URLSearchParams(link);
  if (link.length > most) query.delete("edits");
  const url = `${location.pathname}?${link.length > most ? query : link}`;
  if (url === location.pathname + location.search) return;
  if (push) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
};
