// What can be done with what the Predict page has drawn, wherever it stands: copy it, follow a citation.
// Listens on the document, since panels are redrawn at any time.
(() => {
  // One spoken line for all of them; made when it is first needed.
  let spoken;
  rallrec.say = (words) => {
    if (!spoken) {
      spoken = document.createElement("p");
      spoken.className = "spoken";
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
    area.className = "spoken";
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
  const show = (id, link) => {
    const row = document.getElementById(id);
    if (!row) return rallrec.say("The row is in step 2, which is folded");
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
})();
