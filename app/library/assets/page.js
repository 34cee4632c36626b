// On the Library page the address names the fold that is open. Folds come and go with every refresh, so the document listens.
(() => {
  const opened = () => new URLSearchParams(location.search).get("artifact");
  const folds = () => [...document.querySelectorAll("details[data-artifact]")];
  // The fold that a link leads to, until it has been scrolled to.
  let target = opened();

  const name = (key, push) => {
    const query = new URLSearchParams(location.search);
    if (key === null) query.delete("artifact");
    else query.set("artifact", key);
    const url = location.pathname + (query.size ? "?" + query : "");
    if (push) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
  };

  // A fold that is drawn open tells so too.
  document.addEventListener("toggle", (event) => {
    const key = event.target.dataset?.artifact;
    if (key === undefined) return;
    const summary = event.target.querySelector("summary");
    if (!event.target.open) {
      if (opened() === key) name(null, false);
    } else if (target === key) {
      target = null;
      event.target.scrollIntoView({ block: "start" });
    } else if (opened() !== key) {
      name(key, false);
      // Another fold that closed above may have moved this one out of sight.
      summary.scrollIntoView({ block: "nearest" });
    }
  }, true);

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-open]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const fold = folds().find((one) => one.dataset.artifact === link.dataset.open);
    if (!fold) return;
    event.preventDefault();
    target = link.dataset.open;
    name(target, true);
    fold.open = true;
    fold.querySelector("summary").focus({ preventScroll: true });
  });
})();
