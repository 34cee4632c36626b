// Forms of /label as JSON. A field's name is its place in the body ("project.chains.gap.0"); ``data-kind`` says what it
// is there: text (as it is), number (null where empty), flag, lines (a list), pairs (two words a line).
(() => {
  const { call } = rallrec.keeping;
  const KINDS = {
    text: (field) => field.value,
    number: (field) => (field.value.trim() === "" ? null : Number(field.value)),
    percent: (field) => (field.value.trim() === "" ? 0 : Number(field.value) / 100),
    flag: (field) => field.checked,
    list: (field) => field.value.split(/[\n,]/).map((word) => word.trim()).filter(Boolean),
    pairs: (field) => field.value.split("\n").map((line) => line.trim().split(/[\s,]+/).slice(0, 2)).filter((pair) => pair[0]),
  };

  const told = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

  function body(form) {
    const whole = {};
    for (const field of form.elements) {
      if (!field.name || field.disabled || (field.type === "radio" && !field.checked)) continue;
      const path = field.name.split(".");
      const last = path.pop();
      let place = whole;
      path.forEach((part, i) => { place = place[part] ??= /^\d+$/.test(path[i + 1] ?? last) ? [] : {}; });
      if (field.dataset.kind === "chosen") { (place[last] ??= []).push(...(field.checked ? [field.value] : [])); continue; }
      place[last] = KINDS[field.dataset.kind ?? "text"](field);
    }
    return whole;
  }

  // How many tasks the project would have, counted while it is set: of all that decides it.
  function count(form) {
    const place = form.querySelector("[data-count]"), none = form.querySelector("[data-none]");
    if (!place) return;
    let timer, latest = 0;
    const ask = async () => {
      const own = ++latest, { dataset, mode, order, seed, chains } = body(form).project;
      try {
        const { ok, said } = await call("projects/preview", { project: { name: "-", dataset, mode, order, seed: seed ?? 0, chains } });
        if (own !== latest) return;
        place.classList.toggle("bad", !ok);
        none.textContent = ok && !said.tasks ? "No task fits: loosen which chains are wanted." : "";
        place.textContent = ok ? `${told(said.tasks, mode === "pair" ? "pair" : "task")}: ${told(said.chains, "chain")} of ${told(said.samples, "sample")}` : said.problem;
      } catch (error) { if (own === latest) place.textContent = `Not counted: ${error.message}`; }
    };
    form.addEventListener("input", (event) => {
      if (!event.target.name?.startsWith("project.")) return;
      clearTimeout(timer);
      timer = setTimeout(ask, 300);
    });
    ask();
  }

  window.rallrec.labelForm = (form, go, show) => {
    const said = form.querySelector(".said");
    count(form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const repeated = form.querySelector("[data-same-as]");
      if (repeated && repeated.value !== form.elements[repeated.dataset.sameAs].value) { said.textContent = "The two new passwords differ."; repeated.focus(); return; }
      const button = form.querySelector("[type=submit]");
      button.disabled = true;
      said.textContent = form.dataset.wait ?? "";
      try {
        const { ok, said: told } = await call(form.dataset.post, body(form));
        if (!ok) { said.textContent = told.problem ?? told.problems?.map((own) => own.says).join(". ") ?? "That was refused."; return; }
        if (form.dataset.then) await go(form.dataset.then.replace("{key}", encodeURIComponent(told.key ?? told.project ?? "")));
        else { said.textContent = form.dataset.done ?? "Done."; form.reset(); if (form.dataset.again) await show(); }
      } catch (error) { said.textContent = `Not sent: ${error.message}. Try again.`; } finally { button.disabled = false; }
    });
  };
})();
