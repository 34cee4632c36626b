// Two chains side by side. Which two is kept here, so that a redraw of the panel does not close the comparison; all text
// is taken from the chains as drawn.
let chosen = [];
const chain = (number) => element.querySelector(`[data-chain="${number}"]`);
const known = () => chosen.filter((number) => chain(number));
// What a citation names: the row that it links to, or else its words.
const key = (cited) => cited.getAttribute("href") ?? cited.textContent;
const citations = (number) => [...chain(number).querySelectorAll(".cited, .misquoted, .invented")];
const made = (tag, name, ...content) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...content);
  return node;
};
const titles = (number, wanted) => {
  const found = new Map(citations(number).filter((one) => wanted(key(one))).map((one) => [key(one), one.textContent]));
  return found.size ? [...found.values()].join("; ") : "none";
};
const line = (words, ...content) => [made("dt", "", words), made("dd", "", ...content)];
const verdict = (number) => chain(number).querySelector(".verdict").textContent.trim();
const summary = (one, other) => {
  const [first, second] = [one, other].map((number) => new Set(citations(number).map(key)));
  const p = [one, other].map((number) => Number(chain(number).dataset.p));
  const same = verdict(one) === verdict(other);
  return made("dl", "facts",
    ...line("Verdicts", same ? `both ${verdict(one)}` : `${verdict(one)} and ${verdict(other)}: they differ`),
    ...line("P(yes)", `${p[0].toFixed(2)} and ${p[1].toFixed(2)}: ${Math.abs(p[0] - p[1]).toFixed(2)} apart`),
    ...line("Both cite", titles(one, (name) => second.has(name))),
    ...line(`Only chain ${one} cites`, titles(one, (name) => !second.has(name))),
    ...line(`Only chain ${other} cites`, titles(other, (name) => !first.has(name))),
  );
};
const column = (number, other) => {
  const shared = new Set(citations(other).map(key));
  const text = chain(number).querySelector(".text").cloneNode(true);
  text.removeAttribute("tabindex");
  for (const cited of text.querySelectorAll(".cited, .misquoted, .invented")) {
    cited.after(made("small", shared.has(key(cited)) ? "tag in-both" : "tag", shared.has(key(cited)) ? "both" : `only ${number}`));
  }
  return made("section", "side", made("h3", "", `Chain ${number} `, chain(number).querySelector(".verdict").cloneNode(true)), text);
};
const draw = () => {
  const now = known(), box = element.querySelector(".pair");
  for (const button of element.querySelectorAll("[data-compare]")) {
    button.setAttribute("aria-pressed", String(now.includes(button.closest("[data-chain]").dataset.chain)));
  }
  if (!box) return;
  box.hidden = !now.length;
  if (now.length === 1) box.replaceChildren(made("p", "soft", `Chain ${now[0]} is chosen. Choose another one to compare it with.`));
  if (now.length < 2) return;
  const [one, other] = now;
  const close = made("button", "small", "Close");
  close.type = "button";
  close.dataset.close = "";
  const region = made("section", "", made("header", "", made("b", "", `Chains ${one} and ${other}`), close),
    summary(one, other), made("div", "columns", column(one, other), column(other, one)));
  region.setAttribute("aria-label", `Chains ${one} and ${other} compared`);
  box.replaceChildren(region);
};
const watching = new MutationObserver(() => redraw());
const redraw = () => {
  watching.disconnect();  // not its own changes
  draw();
  watching.observe(element, { childList: true, subtree: true });
};
element.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) {
    const last = chosen.at(-1);
    chosen = [];
    redraw();
    chain(last)?.querySelector("[data-compare]").focus();
    return;
  }
  const number = event.target.closest("[data-compare]")?.closest("[data-chain]").dataset.chain;
  if (!number) return;
  const now = known();
  // A third one takes the place of the one chosen first.
  chosen = now.includes(number) ? now.filter((one) => one !== number) : [...now, number].slice(-2);
  redraw();
  if (chosen.length === 2) element.querySelector(".pair").scrollIntoView({ block: "nearest" });
  rallrec.say(chosen.length === 2 ? `Chains ${chosen.join(" and ")} are compared above the chains`
    : chosen.length ? `Chain ${chosen[0]} is chosen; choose another one` : "No chain is chosen");
});
redraw();
