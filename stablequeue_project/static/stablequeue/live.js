/** Asks again and again: each second while seen, rarely while hidden, ever slower while nobody answers. */

import { clockNow } from "./fill.js";

const SEEN_MS = 1_000;
const HIDDEN_MS = 15_000;
const FIRST_WAIT_S = 2;
const LONGEST_WAIT_S = 30;

export class Live {
  /** `look` fetches, `show` displays; `banner` holds a sentence and a "Try now" button. */
  constructor({ look, show, banner }) {
    this.look = look;
    this.show = show;
    this.banner = banner;
    this.failures = 0;
    this.shownAt = clockNow();
    this.timer = 0;
    this.underWay = null;
    banner.querySelector("button").onclick = () => this.now();
    document.addEventListener("visibilitychange", () => document.hidden || this.now());
    addEventListener("pageshow", (event) => event.persisted && this.now());
    this.wait(SEEN_MS);
  }

  /** Look at once. A look under way is waited for, then followed by a fresh one. */
  async now() {
    await this.underWay;
    clearTimeout(this.timer);
    this.underWay = this.once();
    await this.underWay;
  }

  async once() {
    try {
      const found = await this.look();
      this.failures = 0;
      this.shownAt = clockNow();
      this.banner.hidden = true;
      document.body.classList.remove("stale");
      this.show(found);
      this.wait(document.hidden ? HIDDEN_MS : SEEN_MS);
    } catch (error) {
      this.failures += 1;
      document.body.classList.add("stale");
      this.countDown(Math.min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (this.failures - 1)), error);
    }
  }

  wait(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), milliseconds);
  }

  countDown(seconds, error) {
    if (seconds <= 0) {
      this.now();
      return;
    }
    // A single missed answer is no news.
    this.banner.hidden = this.failures < 2;
    this.banner.querySelector("span").textContent =
      `${error.message} Shown is the state of ${this.shownAt}. ` +
      `Trying again in ${seconds} s; your jobs go on meanwhile.`;
    this.timer = setTimeout(() => this.countDown(seconds - 1, error), 1_000);
  }
}
