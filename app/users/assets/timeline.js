// The timeline holds marks, not titles: what is under the pointer, or where the arrow keys are, is asked of the server.
let place = null, asked = 0, timer;
const drawing = () => element.querySelector("svg.timeline");
const point = async (where) => {
  const mine = ++asked;
  const found = await server.point({ address: location.search, ...where });
  const svg = drawing();
  if (mine !== asked || !svg || !found) return;
  place = found.place;
  let ring = svg.querySelector(".looked-at");
  if (!ring) {
    ring = document.createElementNS(svg.namespaceURI, "circle");
    ring.setAttribute("class", "looked-at");
    ring.setAttribute("r", "9");
    svg.append(ring);
  }
  ring.setAttribute("cx", found.x);
  ring.setAttribute("cy", found.y);
  element.querySelector(".point-read").textContent = found.text;
};
element.addEventListener("pointermove", (event) => {
  const svg = event.target.closest("svg.timeline");
  if (!svg) return;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  clearTimeout(timer);
  timer = setTimeout(() => point({ x: at.x, y: at.y }), 60);
});
element.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
  if (!step || !event.target.closest("svg.timeline")) return;
  event.preventDefault();
  const last = Number(drawing().dataset.count) - 1;
  point({ place: Math.min(last, Math.max(0, (place ?? (step > 0 ? -1 : last + 1)) + step)) });
});
watch("value", () => { place = null; asked++; });
