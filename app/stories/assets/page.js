// Telling a story: the presenter's steps, and the bar with which somebody records views and sentences of their own.
// What people write is only ever put in as text.
(() => {
  const DRAFT = "rallrec.story";
  const read = () => { try { return JSON.parse(localStorage.getItem(DRAFT)); } catch { return null; } };
  const write = (draft) => (draft ? localStorage.setItem(DRAFT, JSON.stringify(draft)) : localStorage.removeItem(DRAFT));
  const make = (tag, fields, ...inside) => {
    const node = Object.assign(document.createElement(tag), fields);
    node.append(...inside);
    return node;
  };

  // A view inside a presenter needs no navigation of its own, and records nothing.
  const embedded = window.self !== window.top;
  if (embedded) document.documentElement.classList.add("embedded");

  function present(story) {
    const steps = [...story.querySelectorAll(".story-steps li")];
    const views = story.querySelector(".story-views");
    const frames = new Map();
    let at = Number(story.dataset.at) - 1;

    // One frame for each distinct view; the next one loads while this one is looked at.
    const frame = (index) => {
      const { view } = steps[index].dataset;
      if (!frames.has(view)) {
        const made = make("iframe", { src: view, title: "The view that this step is about", hidden: true });
        made.addEventListener("load", () => {
          made.contentWindow.addEventListener("keydown", keys);
          if (frames.get(steps[at].dataset.view) === made) look(made, steps[at].dataset.look);
        });
        frames.set(view, made);
        views.append(made);
      }
      return frames.get(view);
    };

    // The panel is drawn some time after its page has loaded.
    const look = (made, id, tries = 80) => {
      const inside = made.contentDocument;
      inside?.querySelectorAll(".looked-at").forEach((other) => other.classList.remove("looked-at"));
      const panel = id && inside?.getElementById(id);
      if (!id) return;
      if (!panel || !panel.textContent.trim()) {
        if (tries && frames.get(steps[at].dataset.view) === made && steps[at].dataset.look === id) setTimeout(() => look(made, id, tries - 1), 100);
        return;
      }
      panel.classList.add("looked-at");
      // Not scrollIntoView: that moves the presenter too.
      made.contentWindow.scrollBy(0, panel.getBoundingClientRect().top - 64);
    };

    const show = (index) => {
      at = Math.min(Math.max(index, 0), steps.length - 1);
      steps.forEach((step, number) => { step.hidden = number !== at; });
      story.querySelector(".story-count").textContent = `${at + 1} of ${steps.length}`;
      story.querySelector(".story-bar").setAttribute("aria-valuenow", at + 1);
      story.querySelector(".story-bar i").style.width = `${(100 * (at + 1)) / steps.length}%`;
      story.querySelector(".story-back").disabled = at === 0;
      story.querySelector(".story-next").disabled = at === steps.length - 1;
      story.querySelector(".story-open").href = steps[at].dataset.view;
      const shown = frame(at);
      frames.forEach((other) => { other.hidden = other !== shown; });
      look(shown, steps[at].dataset.look);
      if (at + 1 < steps.length) frame(at + 1);
      history.replaceState(null, "", `/stories?story=${encodeURIComponent(story.dataset.key)}&step=${at + 1}`);
    };

    function keys(event) {
      if (event.target.closest?.("input, textarea, select, [contenteditable]") || event.altKey || event.ctrlKey || event.metaKey) return;
      const by = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      show(at + by);
    }

    story.querySelector(".story-back").addEventListener("click", () => show(at - 1));
    story.querySelector(".story-next").addEventListener("click", () => show(at + 1));
    window.addEventListener("keydown", keys);
    document.documentElement.classList.add("presenting");
    show(at);
  }

  // The bar at the foot of every page while a story is recorded. What is written so far survives a reload.
  function bar() {
    document.querySelector(".story-recorder")?.remove();
    const draft = read();
    if (!draft || embedded || document.querySelector(".story")) return;
    const sentence = make("textarea", { rows: 2, maxLength: 1000, placeholder: "What is to be seen in this view?", value: draft.sentence ?? "" });
    sentence.setAttribute("aria-label", "Sentence about this view");
    sentence.addEventListener("input", () => write({ ...read(), sentence: sentence.value }));
    const title = make("input", { maxLength: 120, placeholder: "Name of the story", value: draft.title ?? "" });
    title.setAttribute("aria-label", "Name of the story");
    title.addEventListener("input", () => write({ ...read(), title: title.value }));
    const said = make("span", { className: "story-said" });
    said.setAttribute("role", "status");
    const add = make("button", { type: "button", className: "add", textContent: "Add this view" });
    add.addEventListener("click", () => {
      if (!sentence.value.trim()) { said.textContent = "Write a sentence first."; sentence.focus(); return; }
      const now = read();
      write({ ...now, sentence: "", steps: [...now.steps, { view: location.pathname + location.search, sentence: sentence.value.trim() }] });
      bar();
    });
    const undo = make("button", { type: "button", className: "undo", textContent: "Take back the last", disabled: !draft.steps.length });
    undo.addEventListener("click", () => {
      const now = read();
      const last = now.steps.at(-1);
      write({ ...now, steps: now.steps.slice(0, -1), sentence: last.sentence });
      bar();
    });
    const keep = make("button", { type: "button", className: "keep", textContent: "Keep the story", disabled: !draft.steps.length });
    keep.addEventListener("click", async () => {
      const now = read();
      if (!now.title?.trim()) { said.textContent = "Name the story first."; title.focus(); return; }
      try {
        const answer = await fetch("/story", {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ title: now.title, steps: now.steps }),
        });
        const told = await answer.json();
        if (!answer.ok) throw new Error(told.problem);
        write(null);
        location.href = `/stories?story=${encodeURIComponent(told.story)}`;
      } catch (error) {
        said.textContent = `Not kept, nothing is lost: ${error.message}`;
      }
    });
    const drop = make("button", { type: "button", className: "drop", textContent: "Discard" });
    drop.addEventListener("click", () => {
      if (drop.dataset.sure || !read().steps.length) { write(null); bar(); return; }
      drop.dataset.sure = "1";
      drop.textContent = "Discard it all?";
    });
    const count = make("b", { textContent: draft.steps.length === 1 ? "1 view" : `${draft.steps.length} views` });
    const box = make("aside", { className: "story-recorder" }, make("div", {}, make("span", { textContent: "Your story: " }), count, " ", title), sentence, make("div", {}, add, undo, keep, drop, said));
    box.setAttribute("aria-label", "A story that is being told");
    document.body.append(box);
  }

  window.rallrec.stories = () => {
    const story = document.querySelector(".story");
    if (story) present(story);
    document.querySelector(".story-record")?.addEventListener("click", () => {
      if (!read()) write({ title: "", sentence: "", steps: [] });
      bar();
      document.querySelector(".story-recorder textarea")?.focus();
    });
  };
  // Gradio fills the body when it starts, whatever was in it before.
  const resume = () => { if (read() && !document.querySelector(".story-recorder")) bar(); };
  const follow = () => { resume(); new MutationObserver(resume).observe(document.body, { childList: true }); };
  if (document.body) follow();
  else window.addEventListener("DOMContentLoaded", follow);
})();
