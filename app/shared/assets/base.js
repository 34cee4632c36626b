// The address bar is the page's state: any view can be sent to somebody and opens the same.
window.rallrec = {
  // What fills a panel of the page, by the panel's id: each panel's own script puts it here.
  panels: {},
  // The names of the controls that hold the exponent of what a link says.
  exponents: [],
  // What is in a control: its hidden box, its slider, what is chosen or typed.
  value(name) {
    const hidden = document.querySelector(`#${name}-id :is(input, textarea)`);
    const shown = "input[type=range], input[type=radio]:checked, input[type=number]";
    return (hidden ?? document.querySelector(`#${name} :is(${shown})`))?.value;
  },
  // Once something is changed, the address is no more the link of which part could not be shown.
  mended() {
    for (const note of document.querySelectorAll(".left-out")) note.hidden = true;
  },
  link(names, values, push) {
    rallrec.mended();
    const query = new URLSearchParams();
    names.forEach((name, i) => {
      let value = values[i];
      if (value === null || value === undefined || value === "") return;
      if (rallrec.exponents.includes(name)) value = Number(Math.pow(10, value).toPrecision(9));
      query.set(name, value);
    });
    const against = new URLSearchParams(location.search).get("against");  // see predict/assets/other_choice.js
    if (against) query.set("against", against);
    const url = location.pathname + "?" + query.toString();
    if (push) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
    document.dispatchEvent(new Event("rallrec:view"));
  },
  // Follows the page's controls by what is in them. Not a Gradio event: it would cost each move of a slider 10 ms.
  follow(names) {
    let timer;
    const settle = () => {
      clearTimeout(timer);
      if (timer) rallrec.link(names, names.map(rallrec.value), false);
      timer = 0;
    };
    rallrec.settle = settle;  // for who needs the address now
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(settle, 250);
    };
    const controls = names.map((name) => document.getElementById(name));
    const ours = (event) => controls.some((control) => control?.contains(event.target) && !event.target.closest(".picker"));
    for (const kind of ["input", "change"]) document.addEventListener(kind, (event) => { if (ours(event)) later(); });
  },
  // What each choice of a radio means, on hover. ``all``: name of the control -> value -> words.
  explain(all) {
    for (const [name, words] of Object.entries(all)) {
      for (const input of document.querySelectorAll(`#${name} input[type=radio]`)) {
        const label = input.closest("label");
        if (label) label.title = words[input.value] ?? "";
      }
    }
  },
  // A hint that shows until somebody has read it, and not inside a story.
  welcome() {
    const hint = document.querySelector(".first-visit");
    if (!hint || window.self !== window.top || localStorage.getItem("rallrec.welcomed")) return;
    hint.hidden = false;
    hint.querySelector("button").addEventListener("click", () => {
      localStorage.setItem("rallrec.welcomed", "1");
      hint.hidden = true;
    });
  },
  // Watches the run of what the page shows, where one goes on; its panel is drawn a moment after it came.
  join() {
    setTimeout(() => { if (document.querySelector("#status .pulse")) document.querySelector("#join")?.click(); }, 300);
  },
  reveal(id) {
    document.getElementById(id)?.scrollIntoView({ block: "nearest" });
  },
};
// Going back is opening that address.
window.addEventListener("popstate", () => location.reload());
