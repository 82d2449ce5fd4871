// The buttons of the levels: which lines are shown.
import { LEVELS, type Level, type LogView } from '../../clients/js/src/log-view/index.js';
import { byId, make, makeButton, shortCount } from './dom.js';

export class Levels {
  hidden = new Set<Level>();
  #counts = new Map<Level, HTMLElement>();

  constructor(private changed: () => void) {
    byId('levels').append(...LEVELS.map((level) => {
      const button = makeButton(level === 'unknown' ? 'other' : level, () => this.toggle(level));
      const number = make('span', '', 'count');
      button.dataset.level = level;
      button.title = `Lines of this level: shown or not`;
      button.append(' ', number);
      this.#counts.set(level, number);
      return button;
    }));
    this.#show();
  }

  toggle(level: Level): void {
    this.hidden.has(level) ? this.hidden.delete(level) : this.hidden.add(level);
    this.#show();
    this.changed();
  }

  /** All; warnings and worse; errors and worse; and again. */
  cycle(): void {
    const worst = LEVELS.filter((l) => !this.hidden.has(l)).length;
    const next = worst > 3 ? 3 : worst === 3 ? 2 : LEVELS.length;
    this.hidden = new Set(LEVELS.slice(next));
    this.#show();
    this.changed();
  }

  showCounts(view: LogView): void {
    for (const [level, number] of this.#counts) {
      const text = view.counts[level] ? shortCount(view.counts[level]) : '';
      number.textContent !== text && (number.textContent = text);
    }
  }

  #show(): void {
    for (const button of byId('levels').querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(!this.hidden.has(button.dataset.level as Level)));
    }
  }
}
