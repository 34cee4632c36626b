// Results on /label: what is wrong with a step is asked of bad ones alone, and a file is imported.
(() => {
  if (window.rallrec.labelResults) return;
  window.rallrec.labelResults = true;

  function tags(event) {
    const radio = event.target.closest(".resolve-steps input[type=radio]");
    radio?.closest("fieldset").querySelectorAll(".tags-of input").forEach((tag) => { tag.disabled = radio.value !== "bad"; });
  }

  async function imported(event) {
    const button = event.target.closest("button[data-import]");
    if (!button) return;
    const file = document.getElementById(button.dataset.import).files[0];
    const said = button.closest("section").querySelector(".import-said");
    if (!file) { said.textContent = "Choose a file first."; return; }
    button.disabled = true;
    said.textContent = "Importing";
    try {
      const answer = await fetch("/labels/import", { method: "POST", headers: { "Content-Type": "application/x-ndjson" }, body: file });
      const told = await answer.json();
      said.textContent = answer.ok ? told.says : told.problem;
    } catch (error) { said.textContent = `Not imported: ${error.message}. Try again: what was taken over is not doubled.`; } finally { button.disabled = false; }
  }

  document.addEventListener("change", tags);
  document.addEventListener("click", imported);
})();
