// Seconds at work on a task: a minute without a sign of anybody, or a hidden tab, stops the clock.
(() => {
  const IDLE = 60_000;
  const SIGNS = ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"];
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

  rallrec.LabelTimer = class {
    constructor(root, seconds) {
      this.seconds = seconds;
      this.seen = this.last = Date.now();
      this.hidden = document.hidden;
      this.value = root.querySelector(".timer-value");
      this.idle = root.querySelector(".timer-idle");
      this.sign = () => { this.tick(); this.seen = Date.now(); };
      SIGNS.forEach((kind) => document.addEventListener(kind, this.sign, { passive: true }));
      document.addEventListener("visibilitychange", this.sign);
      this.interval = setInterval(() => this.tick(), 1000);
      this.tick();
    }

    // Counts up to now, and returns it.
    tick() {
      const now = Date.now(), until = Math.min(now, this.seen + IDLE);
      if (!this.hidden && until > this.last) this.seconds += (until - this.last) / 1000;
      this.last = now;
      this.hidden = document.hidden;
      this.value.textContent = clock(this.seconds);
      this.idle.hidden = now - this.seen < IDLE;
      return this.seconds;
    }

    stop() {
      clearInterval(this.interval);
      SIGNS.forEach((kind) => document.removeEventListener(kind, this.sign));
      document.removeEventListener("visibilitychange", this.sign);
    }
  };
})();
