import { element } from './row.js';

/** The box that scrolls; knows its own scrolling from the reader's. */
export class Scroller {
  readonly box = element('div', 'tw-scroller');
  #expected = 0; // where we scrolled to ourselves

  constructor(label: string) {
    this.box.setAttribute('role', 'log');
    this.box.setAttribute('aria-live', 'off');
    this.box.setAttribute('aria-label', label);
    this.box.tabIndex = 0;
  }

  get top(): number {
    return this.box.scrollTop;
  }

  get height(): number {
    return this.box.clientHeight;
  }

  get atEnd(): boolean {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 4;
  }

  to(y: number): void {
    this.box.scrollTop = y;
    this.#expected = this.box.scrollTop;
  }

  by(distance: number): void {
    distance && this.to(this.box.scrollTop + distance);
  }

  toEnd(): void {
    this.to(this.box.scrollHeight);
  }

  /** So that this is in sight, as little as needed; what is far away comes to the upper third. True where it scrolled. */
  reveal(top: number, height: number): boolean {
    const now = this.top;
    const view = this.height;
    if (top < now) {
      this.to(top - (top + view < now ? view / 3 : 0));
    } else if (top + height > now + view) {
      this.to(top - (top > now + 2 * view ? view / 3 : Math.max(0, view - height)));
    }
    return this.top !== now;
  }

  /** Which way the reader scrolled since the last look; undefined where it was none but us. */
  moved(): 'up' | 'down' | undefined {
    const by = this.box.scrollTop - this.#expected;
    if (Math.abs(by) < 1.5) {
      return undefined;
    }
    this.#expected = this.box.scrollTop;
    return by > 0 ? 'down' : 'up';
  }
}
