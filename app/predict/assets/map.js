// The item map. Dots are fetched once per variant, when the map is first in sight; marks follow the component's value.
// Outside text (titles, genres, problems) only ever becomes textContent or canvas text.
const $ = (selector) => element.querySelector(selector);
const stage = () => $(".map-stage"), base = () => $(".map-dots"), over = () => $(".map-marks");
const cache = (rallrec.maps ??= new Map());  // outlives the fold, whose content is made anew when it is opened
let marks = null, dots = null, asked = "", highlighted = -1, step = -1, hovered = null;
let view = { x: 0, y: 0, zoom: 1 }, size = { w: 0, h: 0 }, colours = null, frame = 0;

// After the frame in which the panels change, so that a slider's move does not wait for it.
let later = 0;
const drawMarksSoon = () => {
  cancelAnimationFrame(later);
  later = requestAnimationFrame(() => setTimeout(drawMarks));
};
const ask = async () => {
  if (!marks || !size.w || asked === marks.url) return;
  const url = asked = marks.url;
  dots = cache.get(url) ?? null;
  if (dots) return arrived();
  say("Loading the map.");
  try {
    const answer = await fetch(new URL(url, location.href.split("?")[0]));
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.problem ?? answer.statusText);
    cache.set(url, body);
    if (asked === url) { dots = body; arrived(); }
  } catch (error) {
    if (asked !== url) return;
    dots = null;
    say(error.message);
    draw();
  }
};
const say = (words) => { const state = $(".map-state"); state.textContent = words; state.hidden = !words; };
const arrived = () => {
  say("");
  if (highlighted >= dots.genres.length) highlighted = -1;
  $(".map-unplaced").textContent = dots.unplaced
    ? `${dots.unplaced.toLocaleString("en")} items without a signal in this variant are not on the map.` : "";
  const legend = $(".map-legend");
  legend.replaceChildren(...dots.genres.map((name, i) => {
    const button = document.createElement("button"), swatch = document.createElement("span");
    button.type = "button";
    button.dataset.genre = i;
    button.setAttribute("aria-pressed", String(i === highlighted));
    swatch.className = "swatch";
    swatch.style.background = `var(--${genreVariable(i)})`;
    button.append(swatch, `${name} ${dots.counts[i].toLocaleString("en")}`);
    return button;
  }));
  draw();
};
const genreVariable = (i) => (dots && i === dots.genres.length - 1 ? "genre-other" : `genre-${i}`);
const readColours = () => {
  const style = getComputedStyle(element);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  colours = {
    genres: dots ? dots.genres.map((_, i) => get(genreVariable(i))) : [],
    ink: style.color, page: get("body-background-fill") || "#fff", soft: get("soft"),
    chosen: get("relevance"), near: get("bad"),
  };
};

// Places on the canvas, in CSS pixels; null where the variant has no signal of the item.
const scale = () => (Math.min(size.w, size.h) / 2 - 14) * view.zoom;
const place = (code) => {
  if (!dots || dots.x[code] === null || dots.x[code] === undefined) return null;
  return [size.w / 2 + (dots.x[code] / dots.steps - view.x) * scale(), size.h / 2 - (dots.y[code] / dots.steps - view.y) * scale()];
};
const prepare = (canvas) => {
  const ratio = devicePixelRatio || 1, context = canvas.getContext("2d");
  if (canvas.width !== Math.round(size.w * ratio) || canvas.height !== Math.round(size.h * ratio)) {
    canvas.width = Math.round(size.w * ratio);
    canvas.height = Math.round(size.h * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size.w, size.h);
  return context;
};
const draw = () => {
  if (!size.w || frame) return;
  frame = requestAnimationFrame(() => { frame = 0; readColours(); drawDots(); drawMarks(); });
};
const drawDots = () => {
  const context = prepare(base());
  if (!dots) return;
  const side = Math.min(0.9 + size.h / 400 + view.zoom * 0.4, 6), half = side / 2;
  const last = dots.genres.length - 1;
  // "other" below, what is highlighted on top.
  const order = [last, ...dots.genres.keys()].filter((g, i) => (i === 0 || g !== last) && g !== highlighted);
  if (highlighted >= 0) order.push(highlighted);
  for (const genre of order) {
    context.fillStyle = colours.genres[genre];
    context.globalAlpha = highlighted < 0 ? 0.75 : genre === highlighted ? 1 : 0.12;
    for (let code = 0; code < dots.x.length; code++) {
      if (dots.genre[code] !== genre) continue;
      const at = place(code);
      if (at && at[0] > -9 && at[1] > -9 && at[0] < size.w + 9 && at[1] < size.h + 9)
        context.fillRect(at[0] - half, at[1] - half, side, side);
    }
  }
  context.globalAlpha = 1;
};
const drawMarks = () => {
  if (!size.w || !element.isConnected) return;
  if (!colours) readColours();
  const context = prepare(over());
  if (!dots || !marks) return;
  const taken = [];
  const at = (code, paint) => { const p = place(code); if (p) paint(p[0], p[1]); };
  context.lineWidth = 1.3;
  context.strokeStyle = colours.ink;
  context.globalAlpha = 0.65;
  for (const code of marks.history) at(code, (x, y) => ring(context, x, y, 3.6));
  context.globalAlpha = 1;
  if (marks.near !== null) at(marks.near, (x, y) => {
    context.strokeStyle = colours.near;
    for (const code of marks.neighbours) at(code, (nx, ny) => {
      context.beginPath(); context.moveTo(x, y); context.lineTo(nx, ny); context.stroke();
    });
    context.lineWidth = 2;
    context.strokeRect(x - 7, y - 7, 14, 14);
    taken.push([x - 8, y - 8, x + 8, y + 8]);
  });
  const chosen = marks.chosen.map((code, i) => [code, i + 1]);
  for (const [code, rank] of chosen.slice().reverse()) at(code, (x, y) => disc(context, x, y, rank));
  at(marks.target, (x, y) => star(context, x, y, 11));
  for (const code of [marks.target, ...marks.chosen]) at(code, (x, y) => taken.push([x - 9, y - 9, x + 9, y + 9]));
  for (const code of [marks.target, ...marks.chosen]) at(code, (x, y) => label(context, x, y, code, code === marks.target, taken));
  if (hovered !== null) at(hovered, (x, y) => { context.strokeStyle = colours.ink; context.lineWidth = 2.5; ring(context, x, y, 11); });
};
const ring = (context, x, y, radius) => { context.beginPath(); context.arc(x, y, radius, 0, 7); context.stroke(); };
const disc = (context, x, y, rank) => {
  context.fillStyle = colours.chosen;
  context.strokeStyle = colours.page;
  context.lineWidth = 1.5;
  context.beginPath(); context.arc(x, y, 8.5, 0, 7); context.fill(); context.stroke();
  context.fillStyle = colours.page;
  context.font = "600 10.5px system-ui, sans-serif";
  context.textAlign = "center"; context.textBaseline = "middle";
  context.fillText(String(rank), x, y + 0.5);
};
const star = (context, x, y, radius) => {
  context.beginPath();
  for (let i = 0; i < 10; i++) {
    const r = i % 2 ? radius * 0.45 : radius, angle = (i * Math.PI) / 5 - Math.PI / 2;
    context.lineTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  context.closePath();
  context.fillStyle = colours.ink; context.strokeStyle = colours.page; context.lineWidth = 2;
  context.stroke(); context.fill();
};
// A title beside its mark, where it covers no mark and no other title; the target's is always there.
const label = (context, x, y, code, always, taken) => {
  const full = dots.titles[code] ?? "", words = full.length > 34 ? `${full.slice(0, 33)}…` : full;
  context.font = `${always ? 600 : 400} 12px system-ui, sans-serif`;
  const wide = context.measureText(words).width, spots = [[x + 12, y], [x - 12 - wide, y], [x - wide / 2, y - 19], [x - wide / 2, y + 19]];
  const free = ([left, middle]) => left > 1 && left + wide < size.w - 1 && middle > 8 && middle < size.h - 8
    && !taken.some(([a, b, c, d]) => left < c && left + wide > a && middle - 7 < d && middle + 7 > b);
  let spot = spots.find(free);
  if (!spot && always) spot = [Math.max(2, Math.min(x + 12, size.w - wide - 2)), y];
  if (!spot) return;
  taken.push([spot[0], spot[1] - 7, spot[0] + wide, spot[1] + 7]);
  context.textAlign = "left"; context.textBaseline = "middle";
  context.strokeStyle = colours.page; context.lineWidth = 3.5; context.lineJoin = "round";
  context.strokeText(words, spot[0], spot[1]);
  context.fillStyle = colours.ink;
  context.fillText(words, spot[0], spot[1]);
};

const describe = (code) => {
  const rank = marks.chosen.indexOf(code) + 1;
  const role = code === marks.target ? "the target" : rank ? `chosen, rank ${rank}` : marks.history.includes(code) ? "past item" : "";
  return [dots.titles[code], dots.genres[dots.genre[code]], role].filter(Boolean).join(" · ");
};
const hover = (code) => {
  const tip = $(".map-tip");
  if (code !== hovered) {
    hovered = code;
    drawMarks();
    tip.hidden = code === null;
    if (code !== null) tip.textContent = describe(code);
  }
  const at = code === null ? null : place(code);
  if (!at) return;
  tip.style.left = `${Math.max(4, Math.min(at[0] + 12, size.w - tip.offsetWidth - 4))}px`;
  tip.style.top = `${at[1] > size.h - 50 ? at[1] - 40 : at[1] + 14}px`;
};
const nearestTo = (x, y) => {
  if (!dots || !marks) return null;
  let best = null, least = 144;
  const look = (code, bonus) => {
    const at = place(code);
    if (!at) return;
    const far = (at[0] - x) ** 2 + (at[1] - y) ** 2 - bonus;
    if (far < least) { least = far; best = code; }
  };
  for (let code = 0; code < dots.x.length; code++) if (highlighted < 0 || dots.genre[code] === highlighted) look(code, 0);
  for (const code of marks.history) look(code, 9);
  for (const code of [...marks.chosen, marks.target]) look(code, 64);
  return best;
};
const zoomBy = (factor, x = size.w / 2, y = size.h / 2) => {
  if (!factor) view = { x: 0, y: 0, zoom: 1 };
  else {
    const zoom = Math.min(Math.max(view.zoom * factor, 1), 60), before = scale();
    const wx = view.x + (x - size.w / 2) / before, wy = view.y - (y - size.h / 2) / before;
    view.zoom = zoom;
    view.x = wx - (x - size.w / 2) / scale();
    view.y = wy + (y - size.h / 2) / scale();
  }
  draw();
};
const pick = (code) => { if (code !== null) trigger("select", { code }); };

let drag = null;
const inside = (event) => { const box = over().getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
element.addEventListener("pointerdown", (event) => {
  if (event.target !== over()) return;
  drag = { at: inside(event), from: { ...view }, moved: false };
  over().setPointerCapture(event.pointerId);
});
element.addEventListener("pointermove", (event) => {
  if (event.target !== over()) return;
  const [x, y] = inside(event);
  if (drag && (drag.moved || Math.hypot(x - drag.at[0], y - drag.at[1]) > 4)) {
    drag.moved = true;
    view.x = drag.from.x - (x - drag.at[0]) / scale();
    view.y = drag.from.y + (y - drag.at[1]) / scale();
    hover(null);
    draw();
  } else hover(nearestTo(x, y));
});
element.addEventListener("pointerup", (event) => {
  if (drag && !drag.moved) { const found = nearestTo(...inside(event)); hover(found); pick(found); }
  drag = null;
});
element.addEventListener("pointercancel", () => { drag = null; });
element.addEventListener("pointerout", (event) => { if (event.target === over() && !drag) hover(null); });
over().addEventListener("wheel", (event) => {
  if (document.activeElement !== over() && !event.ctrlKey) return;
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 400), ...inside(event));
}, { passive: false });
element.addEventListener("click", (event) => {
  const zoom = event.target.closest("[data-zoom]"), genre = event.target.closest("[data-genre]");
  if (zoom) zoomBy(Number(zoom.dataset.zoom));
  if (genre) {
    highlighted = highlighted === Number(genre.dataset.genre) ? -1 : Number(genre.dataset.genre);
    for (const each of $(".map-legend").children) each.setAttribute("aria-pressed", String(Number(each.dataset.genre) === highlighted));
    draw();
  }
});
// Arrow keys step through the marked items: target, chosen by rank, nearest. Enter shows what is near one.
element.addEventListener("keydown", (event) => {
  if (event.target !== over() || !marks || !dots) return;
  const stops = [...new Set([marks.target, ...marks.chosen, ...marks.neighbours])].filter((code) => place(code));
  const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (move && stops.length) {
    step = (step + move + stops.length) % stops.length;
    hover(stops[step]);
    $(".map-read").textContent = describe(stops[step]);
  } else if (event.key === "Enter") pick(hovered);
  else if (event.key === "+" || event.key === "=") zoomBy(1.5);
  else if (event.key === "-") zoomBy(0.667);
  else if (event.key === "0") zoomBy(0);
  else if (event.key === "Escape") hover(null);
  else return;
  event.preventDefault();
});
element.addEventListener("focusout", (event) => { if (event.target === over()) { step = -1; hover(null); $(".map-read").textContent = ""; } });

const follow = () => {
  try { marks = JSON.parse(props.value || "null"); } catch { marks = null; }
  hovered = null; step = -1;
  $(".map-tip").hidden = true;
  if (marks && marks.url !== asked) ask();
  else drawMarksSoon();
};
watch("value", follow);
new ResizeObserver(() => {
  const box = stage().getBoundingClientRect();
  if (Math.round(box.width) === size.w && Math.round(box.height) === size.h) return;
  size = { w: Math.round(box.width), h: Math.round(box.height) };
  if (size.w) { ask(); draw(); }
}).observe(stage());
// Light and dark are a class of the body.
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
follow();
