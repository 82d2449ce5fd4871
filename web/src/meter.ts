/** How many lines a second come, and how late, over the last seconds. */
export class Meter {
  #times: number[] = [];
  #late: number[] = [];

  constructor(private windowMs = 3000) {}

  /** sentAt: when the change was made, ms since 1970; NaN for what is not live. */
  add(sentAt: number, now = Date.now()): void {
    this.#times.push(now);
    this.#late.push(Math.max(0, now - sentAt));
  }

  read(now = Date.now()): { rate: number; lagMs: number | undefined } {
    const from = this.#times.findIndex((t) => t > now - this.windowMs);
    const gone = from < 0 ? this.#times.length : from;
    this.#times.splice(0, gone);
    this.#late.splice(0, gone);
    const late = this.#late.filter((ms) => Number.isFinite(ms)).sort((a, b) => a - b);
    return { rate: this.#times.length / (this.windowMs / 1000), lagMs: late[late.length >> 1] };
  }
}
