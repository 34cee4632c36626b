// What is typed is part of the address: a list of users whose id holds it.
const box = () => element.querySelector("input");
const fill = () => { if (document.activeElement !== box()) box().value = props.value ?? ""; };
watch("value", fill);
fill();
let timer;
element.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const before = new URLSearchParams(location.search);
    const query = new URLSearchParams(before);
    if (before.has("user")) for (const name of before.keys()) if (name !== "dataset") query.delete(name);
    query.delete("page");
    if (box().value) query.set("find", box().value);
    else query.delete("find");
    const url = location.pathname + (query.size ? "?" + query : "");
    if (before.has("user")) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
    trigger("select", { query: "?" + query });
  }, 120);
});
