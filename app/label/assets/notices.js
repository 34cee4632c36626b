// What the work view tells whoever labels: whether all is saved, that something was refused, that there are two versions.
(() => {
  const KEPT = "What you said is kept in this browser and is sent as soon as the server answers, even if you close the page.";

  rallrec.LabelNotices = class {
    constructor(root) {
      this.root = root;
    }

    // ``words``: when it was saved, or why it was not; ``status``: with which a server refused it.
    state(state, words, status) {
      const place = this.root.querySelector(".saved");
      const at = new Date(words), ended = status === 401;
      place.dataset.state = state;
      place.textContent = {
        saved: `Saved ${Number.isNaN(at.getTime()) ? "" : at.toLocaleTimeString("en-GB")}`,
        changed: "Not saved yet",
        saving: "Saving",
        unsaved: "Not saved: will try again",
        unsent: "Not sent: will try again",
        refused: ended ? "Not saved: log in again" : "Not saved",
      }[state];
      place.title = ["unsaved", "unsent"].includes(state) ? `${words}. ${KEPT}` : "";
      if (state === "refused") this.say(ended ? "Your login has ended. Log in in another tab; what you said is kept here." : words, true);
    }

    // ``onwards``: with the way to the next task.
    say(words, onwards) {
      const place = this.root.querySelector(".resend");
      place.hidden = false;
      place.textContent = `${words} `;
      if (!onwards) return;
      const query = new URLSearchParams({ project: this.root.dataset.project, view: "work" });
      place.append(Object.assign(document.createElement("a"), { textContent: "Go on with the next task", href: `/label?${query}` }));
    }

    // Which of two versions is to be kept: resolves to "ours" or "theirs".
    ask(theirs, ours) {
      const dialog = this.root.querySelector("dialog.conflict");
      const said = (judgement) => {
        const counts = `${Object.keys(judgement?.steps ?? {}).length} steps, ${Object.keys(judgement?.scales ?? {}).length} scales`;
        return judgement?.comment ? `${counts} and the comment “${judgement.comment.slice(0, 60)}”` : counts;
      };
      dialog.querySelector(".theirs").textContent = said(theirs?.judgement);
      dialog.querySelector(".ours").textContent = said(ours);
      dialog.oncancel = (event) => event.preventDefault();
      if (!dialog.open) dialog.showModal();
      return new Promise((done) => {
        dialog.querySelectorAll("[data-keep]").forEach((button) => { button.onclick = () => { dialog.close(); done(button.dataset.keep); }; });
      });
    }
  };
})();
