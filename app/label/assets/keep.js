// Keeps what somebody says of a task until the server has acknowledged it: in this browser first, then there; again and
// again while the network is away. Only what belongs to the account that is logged in is ever sent.
(() => {
  const PREFIX = "rallrec.label.";
  const AFTER = 600, LONGEST_WAIT = 30_000;
  const key = (account, task) => `${PREFIX}${encodeURIComponent(account)}.${encodeURIComponent(task)}`;
  const read = (name) => { try { return JSON.parse(localStorage.getItem(name)); } catch { return null; } };
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const sorted = (value) => (value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])])) : value);

  // What is said, whatever the order of its parts, and whether what is empty is left out.
  function same(one, other) {
    const bare = (judgement) => JSON.stringify(sorted(Object.fromEntries(Object.entries(judgement ?? {})
      .filter(([, value]) => value !== null && value !== "" && value !== false && (typeof value !== "object" || Object.keys(value).length)))));
    return bare(one) === bare(other);
  }

  // One question to the server; a busy one is asked again for a few seconds. Throws only where no answer came, or one
  // that another try may mend.
  async function call(path, body, options = {}) {
    const sent = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    for (let tries = 0; ; tries += 1) {
      const answer = await fetch(`/labels/${path}`, { ...sent, ...options });
      if (![502, 503, 504].includes(answer.status)) return told(answer);
      if (tries === 3) throw new Error(`the server is busy (${answer.status})`);
      await sleep(400 * 2 ** tries);
    }
  }

  async function told(answer) {
    const text = await answer.text();
    let said = {};
    try { said = JSON.parse(text); } catch { said = { problem: `the server answered ${answer.status}` }; }
    return { ok: answer.ok, status: answer.status, said };
  }

  // Ends the waiting of all who wait to try again.
  let wake;
  let woken = new Promise((done) => { wake = done; });
  const awaken = () => { wake(); woken = new Promise((done) => { wake = done; }); };
  window.addEventListener("online", awaken);

  // As call, until an answer comes. ``waiting(words)`` hears of each failure; ``over()`` ends it (undefined is returned).
  async function insist(path, body, waiting, over) {
    for (let wait = 1000; !over(); wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try { return await call(path, body); } catch (error) { waiting(error.message); }
      await Promise.race([sleep(wait), woken]);
    }
    return undefined;
  }

  // What was not acknowledged when its page was left.
  function left(account) {
    const own = `${PREFIX}${encodeURIComponent(account)}.`;
    return Object.keys(localStorage).filter((name) => name.startsWith(own)).map((name) => read(name)).filter(Boolean);
  }

  // Sends what is left: submissions, and drafts of other tasks than the open one. Returns the tasks that are submitted
  // by that, and what could not be sent, with the reason.
  async function resend(account, open) {
    const submitted = [], stuck = [];
    for (const own of left(account).filter((one) => one.submission || one.task !== open)) {
      try {
        const { project, ...body } = own;
        const { ok, status, said } = await call(own.submission ? "submit" : "draft", body);
        if (ok) {
          localStorage.removeItem(key(account, own.task));
          if (own.submission) submitted.push(own.task);
        } else if (own.submission && status === 422) {
          // The work goes on as a draft; its labeller is told what it lacks when it is opened.
          localStorage.setItem(key(account, own.task), JSON.stringify({ ...own, submission: undefined }));
        } else if (status === 409 && same(said.kept?.judgement, own.judgement)) localStorage.removeItem(key(account, own.task));
        else stuck.push({ task: own.task, project: own.project, why: said.problem ?? `answered ${status}` });
      } catch (error) {
        stuck.push({ task: own.task, project: own.project, why: error.message });
      }
    }
    return { submitted, stuck };
  }

  const drop = (account, task) => localStorage.removeItem(key(account, task));

  class Keeper {
    // ``told(state, words)``: state is one of saved, changed, saving, unsaved, refused. ``ask(kept)`` resolves to
    // "ours" or "theirs".
    constructor({ account, project, task, draft, told, ask, take }) {
      Object.assign(this, { account, project, task, told, ask, take });
      this.version = draft?.version ?? 0;
      this.judgement = draft?.judgement ?? {};
      this.seconds = draft?.seconds ?? 0;
      this.name = key(account, task);
      this.dirty = false;
      this.closed = false;
      this.sending = null;
    }

    // What this browser still has of the task, newer than the server's: it is taken, or asked about. True if taken.
    async recover(draft) {
      const own = read(this.name);
      if (!own) return false;
      if (same(own.judgement, draft?.judgement)) { localStorage.removeItem(this.name); return false; }
      const older = (draft?.version ?? 0) > own.version && (await this.ask(draft, own.judgement)) === "theirs";
      if (older) { localStorage.removeItem(this.name); return false; }
      this.judgement = own.judgement;
      this.seconds = Math.max(this.seconds, own.seconds);
      this.dirty = true;
      return true;
    }

    changed(judgement, seconds) {
      Object.assign(this, { judgement, seconds, dirty: true });
      this._store();
      this.told("changed");
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.save(), AFTER);
    }

    // Sends until what is here is what is there.
    save() {
      this.sending ??= this._save().finally(() => { this.sending = null; });
      return this.sending;
    }

    async _save() {
      while (this.dirty && !this.closed && !this.submission) {
        this.dirty = false;
        const sent = this.sent = this.judgement;
        this.told("saving");
        const answer = await insist("draft", this._body(), (why) => this.told("unsaved", why), () => this.closed || this.submission);
        if (!answer || this.closed) return;
        if (answer.ok) {
          this.version = answer.said.version;
          if (!this.dirty || same(sent, this.judgement)) { this.dirty = false; this._acknowledged(answer.said.at); }
        } else if (answer.status === 409) await this._conflict(answer.said, sent);
        else { this.told("refused", answer.said.problem, answer.status); return; }
      }
    }

    // A reply that was lost looks like a conflict with oneself.
    async _conflict({ kept, problem }, sent) {
      if (!kept || kept.status !== "draft") { this.told("refused", problem); return; }
      this.version = kept.version;
      if (same(kept.judgement, sent)) { if (!this.dirty) this._acknowledged(kept.at); return; }
      if ((await this.ask(kept, this.judgement)) === "ours") { this.dirty = true; return; }
      this.judgement = kept.judgement;
      this.dirty = false;
      this.take(kept.judgement);
      this._acknowledged(kept.at);
    }

    _acknowledged(at) {
      localStorage.removeItem(this.name);
      this.told("saved", at);
    }

    // Resolves to the server's answer once there is one. The same submission is sent each time, so it counts once.
    async submit(seconds) {
      clearTimeout(this.timer);
      Object.assign(this, { seconds, submission: random(), dirty: false });
      this._store();
      this.told("saving");
      awaken();
      await this.sending;
      for (let asked = false; ; asked = true) {
        const body = { ...this._body(), submission: this.submission };
        const answer = await insist("submit", body, (why) => this.told("unsent", why), () => this.closed);
        if (!answer) return undefined;
        const { kept } = answer.said;
        const newer = answer.status === 409 && kept?.status === "draft" && !asked;
        if (newer) this.version = kept.version;
        if (newer && (same(kept.judgement, this.judgement) || same(kept.judgement, this.sent) || (await this.ask(kept, this.judgement)) === "ours")) continue;
        this.submission = undefined;
        if (answer.ok) localStorage.removeItem(this.name);
        else if (answer.status === 422) { this.version = answer.said.version; localStorage.removeItem(this.name); }
        else this._store();
        if (newer) { this.judgement = kept.judgement; this.take(kept.judgement); this._acknowledged(kept.at); return undefined; }
        return answer;
      }
    }

    // Once what is here is there, or it is known that it cannot be now.
    async settled() {
      clearTimeout(this.timer);
      await Promise.race([this.save(), sleep(1500)]);
    }

    // The page is left: one last try, which outlives it. What does not arrive is still in this browser.
    leave(seconds) {
      if (this.closed || this.submission || !(this.dirty || this.sending)) return;
      this.seconds = seconds;
      this.sent = this.judgement;
      this._store();
      call("draft", this._body(), { keepalive: true }).catch(() => {});
    }

    // Nothing more is sent from here.
    close(forget) {
      this.closed = true;
      clearTimeout(this.timer);
      if (forget) localStorage.removeItem(this.name);
    }

    _body() {
      return { task: this.task, judgement: this.judgement, seconds: Math.round(this.seconds * 10) / 10, version: this.version };
    }

    _store() {
      try {
        localStorage.setItem(this.name, JSON.stringify({ ...this._body(), project: this.project, submission: this.submission }));
      } catch (error) { this.told("unsaved", error.message); }
    }
  }

  window.rallrec.keeping = { Keeper, call, resend, drop };
})();
