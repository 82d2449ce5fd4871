// The search field: what is marked, counted and stepped through, or the only thing that is shown.
import type { Line, LogView } from '../../clients/js/src/log-view/index.js';
import { byId, onClick, shortCount } from './dom.js';

const WAIT_MS = 150; // after a key, before 100,000 lines are looked through
const CHUNK = 20_000; // lines counted at once

export class Search {
  only = false;
  #regex = false;
  #pattern: RegExp | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #counted: { rows: readonly Line[]; upTo: number; matches: number; first: Line | undefined } | undefined;

  constructor(private view: LogView, private changed: () => void) {
    const input = byId<HTMLInputElement>('search');
    input.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(), WAIT_MS);
    });
    input.addEventListener('keydown', (e) => {
      if (e.key === 'Enter') {
        this.#read();
        this.step(e.shiftKey ? 1 : -1); // the newest first
      } else if (e.key === 'Escape') {
        input.value = '';
        this.#read();
        input.blur();
      }
    });
    onClick('previous', () => this.step(-1));
    onClick('next', () => this.step(1));
    onClick('regex', () => this.#switch('regex', (this.#regex = !this.#regex)));
    onClick('only', () => this.#switch('only', (this.only = !this.only)));
  }

  get active(): boolean {
    return this.#pattern !== undefined;
  }

  set(text: string): void {
    byId<HTMLInputElement>('search').value = text;
    this.#read();
  }

  step(by: 1 | -1): void {
    this.active && this.view.find((line) => this.matches(line), by);
  }

  matches(line: Line): boolean {
    const p = this.#pattern;
    if (!p) {
      return true;
    }
    p.lastIndex = 0;
    if (p.test(line.message)) {
      return true;
    }
    p.lastIndex = 0;
    return p.test(line.fields);
  }

  /** How many rows match; a large number of rows takes several frames. */
  showCount(): void {
    const rows = this.view.rows;
    if (!this.active || rows.length === 0) {
      byId('matches').textContent = '';
      return;
    }
    let c = this.#counted;
    if (!c || c.rows !== rows || c.upTo > rows.length || c.first !== rows[0]) {
      c = this.#counted = { rows, upTo: 0, matches: 0, first: rows[0] };
    }
    const end = Math.min(rows.length, c.upTo + CHUNK);
    for (; c.upTo < end; c.upTo++) {
      c.matches += this.matches(rows[c.upTo] as Line) ? 1 : 0;
    }
    byId('matches').textContent = shortCount(c.matches) + (c.upTo < rows.length ? '…' : '');
    c.upTo < rows.length && requestAnimationFrame(() => this.showCount());
  }

  #switch(id: string, on: boolean): void {
    byId(id).setAttribute('aria-pressed', String(on));
    this.#read();
  }

  #read(): void {
    clearTimeout(this.#timer);
    const input = byId<HTMLInputElement>('search');
    const text = input.value;
    let pattern: RegExp | undefined;
    try {
      pattern = text ? new RegExp(this.#regex ? text : text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi') : undefined;
      input.setAttribute('aria-invalid', 'false');
    } catch {
      input.setAttribute('aria-invalid', 'true');
      return;
    }
    this.#pattern = pattern;
    this.#counted = undefined;
    this.view.setHighlight(pattern);
    this.changed();
  }
}
