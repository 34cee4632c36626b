// Another way to choose past items beside the page's own. Fetched once the page's address has settled, never while a
// slider moves; which one is picked is part of the address. What is fetched is the server's own escaped markup.
const box = element.querySelector("details"), pick = element.querySelector("select"), told = element.querySelector(".against-told");
let asking, timer;
const remember = () => {
  const query = new URLSearchParams(location.search);
  if (box.open && pick.value) query.set("against", pick.value);
  else query.delete("against");
  history.replaceState(null, "", `${location.pathname}?${query}`);
};
const show = async () => {
  asking?.abort();
  if (!box.open || !pick.value) return told.replaceChildren();
  asking = new AbortController();
  told.classList.add("stale");
  try {
    const url = new URL("against", location.href.split("?")[0]);
    url.search = location.search;
    url.searchParams.set("against", pick.value);
    const answer = await fetch(url, { signal: asking.signal });
    told.innerHTML = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") return;
    told.textContent = "The server does not answer.";
  }
  told.classList.remove("stale");
};
const changed = () => { rallrec.settle?.(); remember(); show(); };
pick.addEventListener("change", changed);
box.addEventListener("toggle", changed);
document.addEventListener("rallrec:view", () => {
  clearTimeout(timer);
  timer = setTimeout(show, 100);
});
const linked = new URLSearchParams(location.search).get("against");
if ([...pick.options].some((option) => option.value && option.value === linked)) {
  pick.value = linked;
  box.open = true;
}
