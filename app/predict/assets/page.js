// What can be done with what the Predict page has drawn: copy it, follow a citation, export it; and what is fetched once
// its sliders rest: the command line, and marks at the values that were asked before.
// Listens on the document, since panels are redrawn at any time.
(() => {
  // For ears alone. In place, since Gradio confines the styles to its own part of the document.
  const HIDDEN = "position: fixed; left: 0; bottom: 0; width: 1px; height: 1px; margin: 0; padding: 0; border: 0; "
    + "overflow: hidden; opacity: 0; white-space: pre";
  // One spoken line for all; made when it is first needed.
  let spoken;
  rallrec.say = (words) => {
    if (!spoken) {
      spoken = document.createElement("p");
      spoken.className = "spoken";
      spoken.style.cssText = HIDDEN;
      spoken.setAttribute("role", "status");
      document.body.append(spoken);
    }
    spoken.textContent = "";
    setTimeout(() => { spoken.textContent = words; }, 50);  // the same words twice are two messages
  };
  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Over plain http there is only this.
    const before = document.activeElement, area = document.createElement("textarea");
    area.value = text;
    area.style.cssText = HIDDEN;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    before?.focus();
    if (!done) throw new Error("the browser did not copy");
  };
  const copyFrom = async (button) => {
    const parts = button.closest("[data-copyable]")?.querySelectorAll("[data-said]") ?? [];
    const what = button.getAttribute("aria-label").replace(/^Copy /, "");
    let done = true;
    try {
      await copy([...parts].map((part) => part.textContent).join("").trim());
    } catch {
      done = false;
    }
    button.textContent = done ? "Copied ✓" : "Not copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
    rallrec.say(done ? `Copied ${what}` : `The browser did not let ${what} be copied; select it and copy it by hand`);
  };
  let citedFrom = null;
  // A row can be in a step that is folded: it is unfolded, and looked for again once it is drawn.
  const show = (id, link, tries = 20) => {
    const row = document.getElementById(id);
    if (!row?.getClientRects().length) {
      const folded = [...document.querySelectorAll("button.label-wrap:not(.open)")];
      if (tries === 20) folded.find((one) => one.textContent.trim().startsWith("2 ·"))?.click();
      if (tries) setTimeout(() => show(id, link, tries - 1), 50);
      else rallrec.say("The row is not on the page");
      return;
    }
    citedFrom = link;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.copy");
    if (button) return void copyFrom(button);
    const link = event.target.closest?.('.panel a[href^="#"]');
    if (!link) return;
    event.preventDefault();  // the address is the view, not the place in it
    show(link.getAttribute("href").slice(1), link);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && citedFrom?.isConnected && event.target.matches?.('[id^="past-"], #question')) {
      citedFrom.focus();
    }
  });
  // An export is of the view as it is now: before the link is followed, opened in another tab, or copied.
  const carry = (event) => {
    const link = event.target.closest?.("a[data-export]");
    if (!link) return;
    rallrec.settle?.();
    const query = new URLSearchParams(location.search || link.search);
    if (document.querySelector("#truth input")?.checked) query.set("truth", "1");
    link.search = query.toString();
  };
  for (const kind of ["pointerdown", "focusin", "click"]) document.addEventListener(kind, carry, true);

  const WORDS = { gamma: "gamma", k: "K", traces: "chains" };
  const THUMB = 16;
  const spell = (name, value) => (name === "gamma" ? String(Number(value.toFixed(3))) : String(value));
  const set = (input, value) => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, value);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const tick = (name, input, { low, high, pick }) => {
    const button = document.createElement("button"), span = input.max - input.min;
    const values = low === high ? spell(name, low) : `${spell(name, low)} to ${spell(name, high)}`;
    button.type = "button";
    button.title = `${WORDS[name]} ${values}: asked before, the answers are there`;
    button.setAttribute("aria-label", `${WORDS[name]} ${spell(name, pick)}, asked before`);
    button.style.left = `calc(${THUMB / 2}px + (100% - ${THUMB}px) * ${(low - input.min) / span})`;
    button.style.width = `max(4px, (100% - ${THUMB}px) * ${(high - low) / span})`;
    button.addEventListener("click", () => set(input, spell(name, pick)));
    return button;
  };
  let answered = {};
  const drawTicks = () => {
    for (const name of Object.keys(WORDS)) {
      const input = document.querySelector(`#${name} input[type=range]`);
      if (!input) continue;
      let row = input.parentElement.querySelector(".ticks");
      if (!row) {
        row = document.createElement("div");
        row.className = "ticks";
        row.setAttribute("role", "group");
        row.setAttribute("aria-label", `Values of ${WORDS[name]} that were asked before`);
        input.parentElement.append(row);
      }
      row.style.left = `${input.offsetLeft}px`;
      row.style.width = `${input.offsetWidth}px`;
      row.replaceChildren(...(answered[name] ?? []).map((stretch) => tick(name, input, stretch)));
    }
  };
  let timer, asking;
  const fetchAside = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(new URL(`aside${location.search}`, location.href.split("?")[0]), { signal: asking.signal });
      const body = await answer.json();
      answered = body.answered;
      const code = document.querySelector("#target .command code");
      if (code && body.command) code.textContent = body.command;
    } catch (error) {
      if (error.name === "AbortError") return;
      answered = {};  // the server is away: nothing is promised
    }
    document.getElementById("target")?.classList.remove("moving");
    drawTicks();
  };
  // Long enough that a drag with pauses is one drag: what is fetched costs the server more than a slider's move.
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(fetchAside, 400);
  };
  // Called once the page is filled. A run that ends changes the status, and what has been asked.
  rallrec.beside = () => {
    drawTicks();
    document.addEventListener("rallrec:view", () => {
      document.getElementById("target")?.classList.add("moving");
      later();
    });
    const status = document.getElementById("status");
    const words = () => status.querySelector(".status")?.textContent ?? "";
    let before = words();
    new MutationObserver(() => {
      if (before === words()) return;  // Gradio marks every panel as pending at every event
      before = words();
      later();
    }).observe(status, { childList: true, subtree: true, characterData: true });
    addEventListener("resize", drawTicks);
    later();
  };
})();
