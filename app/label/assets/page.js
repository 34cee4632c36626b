// /label: shows the view that the address names, sends forms, and hands a task to the work view (label/assets/work.js).
// Views come as HTML from the server, where every text of a person or a model is escaped.
(() => {
  const ROUTE = "/label";
  let root, work = null, asked = 0;
  const { call, resend, drop } = rallrec.keeping;
  const make = (tag, textContent, fields) => Object.assign(document.createElement(tag), { textContent, ...fields });
  const params = () => new URLSearchParams(location.search);

  async function show() {
    await fill(`/labels/view?${params()}`, ++asked);
  }

  async function fill(url, own) {
    let text, plain;
    try {
      const answer = await fetch(url, { headers: { Accept: "text/html" } });
      plain = answer.headers.get("Content-Type")?.startsWith("application/json");
      text = await answer.text();
    } catch (error) {
      if (own !== asked) return;
      said(`The server does not answer (${error.message}). `, () => fill(url, own));
      return;
    }
    if (own !== asked) return;
    if (plain) { said(`${JSON.parse(text).problem} `, () => fill(url, own)); return; }
    leave();
    root.innerHTML = text;
    begin();
  }

  function said(words, again) {
    let box = root.querySelector(".label-said");
    if (!box) { box = make("p", "", { className: "label-said notice" }); box.setAttribute("role", "alert"); root.prepend(box); }
    box.textContent = words;
    if (!again) return;
    const button = make("button", "Try again", { type: "button" });
    button.addEventListener("click", () => { box.remove(); again(); });
    box.append(button);
  }

  const account = () => root.querySelector(".label-frame")?.dataset.account ?? "";

  function leave() {
    work?.close(false);
    work = null;
  }

  function begin() {
    if (root.querySelector(".fetching")) { next(params().get("project"), true); return; }
    const task = root.querySelector(".work");
    if (task) work = new rallrec.LabelWork(task, { account: account(), go, next });
    root.querySelectorAll("form[data-post]").forEach((form) => rallrec.labelForm(form, go, show));
    root.dispatchEvent(new CustomEvent("label:shown", { bubbles: true }));
    if (!task) root.querySelector("[autofocus]")?.focus();
    if (account()) stuck(task?.dataset.task);
  }

  // What an earlier visit could not send.
  async function stuck(except) {
    const place = root.querySelector(".label-stuck");
    const { submitted, stuck: left } = await resend(account(), except);
    if (work && submitted.includes(except)) { work.close(true); work = null; await next(params().get("project"), true); return; }
    if (!place || !left.length) return;
    place.hidden = false;
    place.textContent = "Of what you said, this is in this browser only: ";
    for (const own of left) {
      const link = make("a", "open it", { href: `${ROUTE}?${new URLSearchParams({ project: own.project, view: "work", task: own.task })}` });
      const away = make("button", "drop it", { type: "button", className: "small" });
      away.addEventListener("click", () => { drop(account(), own.task); [link, away].forEach((node) => node.remove()); place.hidden = !place.querySelector("a"); });
      place.append(`a task that was not taken (${own.why}) `, link, " ", away, " ");
    }
  }

  async function go(url, replace) {
    leave();
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    document.dispatchEvent(new Event("rallrec:view"));
    await show();
  }

  // The next task of a project; tried again while the server does not answer.
  async function next(project, replace) {
    const own = ++asked;
    let answer;
    try { answer = await call("next", { project }); } catch (error) {
      said(`The next task could not be fetched (${error.message}). `, () => next(project, replace));
      return;
    }
    if (own !== asked) return;
    const { ok, said: told } = answer;
    if (!ok) { said(told.problem); return; }
    const address = new URLSearchParams({ project, view: "work" });
    if (told.task) address.set("task", told.task.task);
    const url = `${ROUTE}?${address}`;
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    for (const name of ["nothing", "skipped", "until"]) if (told[name]) address.set(name, told[name]);
    await fill(`/labels/view?${address}`, asked);
    if (told.task) scrollTo(0, 0);
  }

  // Links to this page's own views need no new page.
  function follow(event) {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname !== ROUTE) return;
    event.preventDefault();
    go(url.pathname + url.search);
  }

  // Buttons that do one thing: data-act is the path, data-body its JSON, data-then where to go on.
  async function act(event) {
    const button = event.target.closest("button[data-act], button[data-do=again]");
    if (!button) return;
    if (button.dataset.do === "again") { await next(params().get("project"), true); return; }
    button.disabled = true;
    try {
      const { ok, said: told } = await call(button.dataset.act, JSON.parse(button.dataset.body || "{}"));
      if (!ok) { said(told.problem); return; }
      await go((button.dataset.then || location.pathname + location.search).replace("{task}", encodeURIComponent(told.task?.task ?? "")), !button.dataset.then);
    } catch (error) { said(`Not done: ${error.message}. Try again.`); } finally { button.disabled = false; }
  }

  window.rallrec.label = () => {
    root = document.querySelector("#label-root");
    if (!root || root.dataset.started) return;
    root.dataset.started = "1";
    root.addEventListener("click", follow);
    root.addEventListener("click", act);
    window.addEventListener("pagehide", () => work?.leave());
    show();
  };
})();
