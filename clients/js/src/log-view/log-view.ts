import type { Line } from './line.js';
import { element, rowElement, type LineAction, type RowStyle } from './row.js';
import { Scroller } from './scroller.js';
import { LineStore, type LineFilter } from './store.js';
import type { TimeMode } from './time.js';
import { Tops } from './tops.js';

export interface LogViewOptions {
  /** How many lines are held; default 100,000. */
  maxLines?: number;
  /** What the list is called. */
  label?: string;
  /** Buttons of an open line. */
  actions?: LineAction[];
  wrap?: boolean;
  timeMode?: TimeMode;
  showChannel?: boolean;
  /** After a change of what is held or shown, at most once a frame. */
  onChange?: (view: LogView) => void;
  /** The reader is at the beginning and wants what came before. */
  onOlder?: () => void;
  /** The reader scrolled to the end: by default that follows again. Return true where there is something else to do. */
  onEnd?: () => boolean;
}

const OVERSCAN = 8;
const HIDDEN_MS = 250; // between updates while nobody looks
const PASSES = 3; // of measuring what was drawn

/**
 * A list of log lines that draws only those in sight. It follows the newest until the reader scrolls up or asks it to
 * stop; then the lines in sight stay where they are, and what comes is counted.
 */
export class LogView {
  following = true;
  /** Rows that came since it stopped following. */
  waiting = 0;
  selected: Line | undefined;
  /** The element before the first line, for the host. */
  readonly lead: HTMLElement;

  #store: LineStore;
  #tops = new Tops((i) => this.#store.rows[i]?.height ?? this.#rowHeight);
  #style: RowStyle;
  #scroller: Scroller;
  #space = element('div', 'tw-space');
  #block = element('div', 'tw-block');
  #drawn = new Map<Line, HTMLElement>();
  #incoming: Line[] = [];
  #changedFrom = 0; // rows from here on are not laid out yet
  #rowHeight = 22;
  #epoch = 1; // heights measured in another one are wrong
  #stale = false; // what is drawn shows an older style
  #frame = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #resize: ResizeObserver;
  #wantsFocus = false;
  #opened: Line | undefined;
  #channelChars = 0;

  constructor(readonly container: HTMLElement, private options: LogViewOptions = {}) {
    const { maxLines = 100_000, wrap = false, timeMode = 'local', showChannel = true, actions = [] } = options;
    this.#store = new LineStore(maxLines);
    this.#style = { wrap, timeMode, showChannel, actions, highlight: undefined };
    this.lead = element('div', 'tw-lead');
    this.#block.setAttribute('role', 'list');
    this.#block.setAttribute('aria-label', options.label ?? 'Log lines');
    this.#scroller = new Scroller(options.label ?? 'Log');
    const { box } = this.#scroller;
    this.#space.append(this.#block);
    box.append(this.lead, this.#space);
    container.classList.add('tw-log');
    container.classList.toggle('tw-wrap', wrap);
    container.append(box);
    box.addEventListener('scroll', () => this.#onScroll(), { passive: true });
    box.addEventListener('wheel', (e) => e.deltaY < 0 && this.#onPull(), { passive: true });
    this.#block.addEventListener('click', (e) => this.#onClick(e));
    this.#resize = new ResizeObserver(() => this.#restyle());
    this.#resize.observe(box);
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#resize.disconnect();
    this.#scroller.box.remove();
  }

  // --- lines --------------------------------------------------------------------------------------

  /** All lines that are held, and those that the filter lets through. Do not change them. */
  get lines(): readonly Line[] {
    return this.#store.all;
  }

  get rows(): readonly Line[] {
    return this.#store.rows;
  }

  get counts(): LineStore['counts'] {
    return this.#store.counts;
  }

  /** How many more lines there is room for. */
  get room(): number {
    return this.#store.room;
  }

  has(key: string): boolean {
    return this.#store.has(key);
  }

  /** Lines whose key is held already are left out. Shown with the next frame. */
  append(lines: Line[]): void {
    for (const line of lines) {
      this.#incoming.push(line);
    }
    this.#schedule();
  }

  /** Older lines, oldest first; what is in sight stays where it is. Returns how many there were room for and new. */
  prepend(lines: Line[]): number {
    this.#take();
    const before = this.#store.all.length;
    this.#alignChannels(lines);
    const rows = this.#store.prepend(lines.slice(Math.max(0, lines.length - this.room)));
    this.#changedFrom = 0;
    this.#layOut();
    this.#scroller.by(this.#tops.top(rows));
    this.#schedule();
    return this.#store.all.length - before;
  }

  clear(): void {
    this.#incoming = [];
    this.#store.clear();
    this.#changedFrom = 0;
    this.waiting = 0;
    this.selected = undefined;
    this.#schedule();
  }

  /** Draw a line again that the host changed. */
  refresh(line: Line): void {
    line.measured = 0;
    this.#undraw(line);
    this.#schedule();
  }

  // --- how it looks -------------------------------------------------------------------------------

  setFilter(filter: LineFilter | undefined): void {
    const anchor = this.selected ?? this.#store.rows[this.#firstInSight()];
    this.#take();
    this.#store.setFilter(filter);
    this.#changedFrom = 0;
    this.#layOut();
    anchor && !this.following && this.#scrollToRow(this.#indexNear(anchor));
    this.#schedule();
  }

  setHighlight(pattern: RegExp | undefined): void {
    this.#style.highlight = pattern;
    this.#stale = true;
    this.#schedule();
  }

  set wrap(wrap: boolean) {
    this.#style.wrap = wrap;
    this.container.classList.toggle('tw-wrap', wrap);
    this.#restyle();
  }

  get wrap(): boolean {
    return this.#style.wrap;
  }

  set timeMode(mode: TimeMode) {
    this.#style.timeMode = mode;
    this.#restyle();
  }

  get timeMode(): TimeMode {
    return this.#style.timeMode;
  }

  // --- where it is --------------------------------------------------------------------------------

  follow(): void {
    this.following = true;
    this.waiting = 0;
    this.#schedule();
  }

  pause(): void {
    this.following = false;
    this.#schedule();
  }

  toTop(): void {
    this.pause();
    this.#scroller.to(0);
    this.#schedule();
    this.options.onOlder?.();
  }

  /** Select a line, and bring it into sight. */
  select(line: Line, focus = false): void {
    const index = this.#store.rows.indexOf(line);
    if (index >= 0) {
      this.pause();
      this.#undraw(this.selected);
      this.#undraw(line);
      this.selected = line;
      this.#wantsFocus = focus;
      this.#scrollToRow(index);
      this.#schedule();
    }
  }

  /** The row so many below the selected one, or below the first in sight. */
  move(by: number): void {
    const rows = this.#store.rows;
    const at = this.#start(this.following ? rows.length : this.#firstInSight() - 1);
    const line = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
    line && this.select(line, true);
  }

  /** The next row (or the previous one, by -1) that is what is looked for; false where there is none. */
  find(wanted: LineFilter, by: 1 | -1): boolean {
    const rows = this.#store.rows;
    const at = this.#start(by < 0 ? rows.length : this.#firstInSight() - 1);
    for (let i = at + by; i >= 0 && i < rows.length; i += by) {
      const line = rows[i] as Line;
      if (wanted(line)) {
        this.select(line, true);
        return true;
      }
    }
    return false;
  }

  toggle(line = this.selected): void {
    if (line && line.kind === 'log') {
      line.open = !line.open;
      this.selected !== line && this.#undraw(this.selected);
      this.selected = line;
      if (line.open) {
        this.pause();
        this.#opened = line;
      }
      delete line.height;
      this.#changedFrom = Math.min(this.#changedFrom, Math.max(0, this.#store.rows.indexOf(line)));
      this.refresh(line);
    }
  }

  /** The selected row, where it is still there. */
  #start(otherwise: number): number {
    const index = this.selected ? this.#store.rows.indexOf(this.selected) : -1;
    return index >= 0 ? index : otherwise;
  }

  // --- events -------------------------------------------------------------------------------------

  #onScroll(): void {
    const way = this.#scroller.moved();
    if (!way) {
      return;
    }
    if (!this.#scroller.atEnd) {
      this.following = false;
      way === 'up' && this.#scroller.top < this.#scroller.height && this.options.onOlder?.();
    } else if (way === 'down') {
      this.options.onEnd?.() || this.follow();
    }
    this.#schedule();
  }

  /** Where everything fits there is nothing to scroll, but the wish is clear. */
  #onPull(): void {
    if (this.#scroller.top <= 0) {
      this.pause();
      this.options.onOlder?.();
    }
  }

  #onClick(e: MouseEvent): void {
    const target = e.target as Element;
    if (target.closest('.tw-detail') || String(getSelection()) !== '') {
      return;
    }
    const row = target.closest('.tw-line');
    for (const [line, drawn] of this.#drawn) {
      drawn === row && this.toggle(line);
    }
  }

  // --- drawing ------------------------------------------------------------------------------------

  #schedule(): void {
    if (document.hidden) {
      this.#timer ??= setTimeout(() => this.#update(), HIDDEN_MS);
    } else {
      this.#frame ||= requestAnimationFrame(() => this.#update());
    }
  }

  #update(): void {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#timer = undefined;
    this.#frame = 0;
    this.#take();
    this.#trim();
    this.#draw();
    this.options.onChange?.(this);
  }

  #take(): void {
    const from = this.#store.rows.length;
    const added = this.#incoming.length ? this.#store.append(this.#incoming) : 0;
    this.#alignChannels(this.#incoming);
    this.#incoming = [];
    this.waiting = this.following ? 0 : this.waiting + added;
    this.#changedFrom = Math.min(this.#changedFrom, from);
  }

  /** The column is as wide as its longest channel. */
  #alignChannels(lines: Line[]): void {
    const chars = lines.reduce((most, line) => Math.max(most, line.channel.length), this.#channelChars);
    if (chars > this.#channelChars) {
      this.#channelChars = chars;
      this.container.style.setProperty('--tw-channel-chars', String(chars));
    }
  }

  /** While somebody reads, more is held, so that it does not go while it is read. */
  #trim(): void {
    this.#layOut();
    const gone = this.#store.trim(this.following ? 0 : this.#store.max / 5);
    if (gone > 0) {
      const height = this.#tops.top(gone);
      this.#changedFrom = 0;
      this.#layOut();
      this.#scroller.by(-height);
    }
  }

  #layOut(): void {
    this.#tops.update(this.#store.rows.length, this.#changedFrom);
    this.#changedFrom = this.#store.rows.length;
    this.#space.style.height = `${this.#tops.height}px`;
  }

  #draw(): void {
    if (this.#stale) {
      this.#stale = false;
      this.#drawn.forEach((e) => e.remove());
      this.#drawn.clear();
    }
    for (let pass = 0; pass < PASSES; pass++) {
      this.#layOut();
      this.following && this.#scroller.toEnd();
      this.#drawRange();
      if (!this.#measure()) {
        break;
      }
    }
    this.following && this.#scroller.toEnd();
    this.#reveal();
    this.#takeFocus();
  }

  #drawRange(): void {
    const rows = this.#store.rows;
    const y = this.#scroller.top - this.lead.offsetHeight;
    const first = Math.max(0, this.#tops.at(y) - OVERSCAN);
    const last = Math.min(rows.length, this.#tops.at(y + this.#scroller.height) + OVERSCAN + 1);
    const wanted = rows.slice(first, last);
    const keep = new Set(wanted);
    for (const line of [...this.#drawn.keys()]) {
      keep.has(line) || this.#undraw(line);
    }
    let next = this.#block.firstElementChild;
    wanted.forEach((line, i) => {
      const row = this.#drawn.get(line) ?? this.#make(line);
      row.setAttribute('aria-posinset', String(first + i + 1));
      row.setAttribute('aria-setsize', String(rows.length));
      if (row === next) {
        next = next.nextElementSibling;
      } else {
        this.#block.insertBefore(row, next);
      }
    });
    this.#block.style.transform = `translateY(${this.#tops.top(first)}px)`;
  }

  #make(line: Line): HTMLElement {
    const row = rowElement(line, this.#style);
    if (line === this.selected) {
      row.classList.add('tw-selected');
      row.tabIndex = 0;
    }
    this.#drawn.set(line, row);
    return row;
  }

  #undraw(line: Line | undefined): void {
    if (line) {
      this.#drawn.get(line)?.remove();
      this.#drawn.delete(line);
    }
  }

  /** Heights of what was drawn for the first time. True where one was not as thought. */
  #measure(): boolean {
    const sight = this.#firstInSight();
    let changed = false;
    let above = 0;
    for (const [line, row] of this.#drawn) {
      const measured = this.#style.wrap || line.open ? this.#epoch : -1; // on one line all are alike
      if (line.measured !== measured) {
        const height = row.getBoundingClientRect().height;
        const index = Number(row.getAttribute('aria-posinset')) - 1;
        const was = line.height ?? this.#rowHeight;
        line.measured = measured;
        line.height = height;
        this.#learn(line, height);
        if (Math.abs(was - height) > 0.01) {
          changed = true;
          above += index < sight ? height - was : 0;
          this.#changedFrom = Math.min(this.#changedFrom, index);
        }
      }
    }
    if (changed) {
      this.#layOut();
      this.following || this.#scroller.by(above);
    }
    return changed;
  }

  /** Rows that were not drawn yet will be as high as this one. */
  #learn(line: Line, height: number): void {
    if (!this.#style.wrap && !line.open && line.kind === 'log' && Math.abs(height - this.#rowHeight) > 0.01) {
      this.#rowHeight = height;
      this.#changedFrom = 0;
    }
  }

  /** Widths or styles changed: everything is drawn and measured anew, the line at the top stays there. */
  #restyle(): void {
    const first = this.#firstInSight();
    const offset = this.#scroller.top - this.#tops.top(first);
    this.#epoch++;
    this.#stale = true;
    if (!this.#style.wrap) {
      this.#store.all.forEach((line) => line.open || ((line.height = undefined), (line.measured = 0)));
    }
    this.#changedFrom = 0;
    this.#layOut();
    this.following || this.#scroller.to(this.#tops.top(first) + offset);
    this.#schedule();
  }

  /** A line that was just opened, as far as there is room for it. */
  #reveal(): void {
    const line = this.#opened;
    this.#opened = undefined;
    line && this.#scrollToRow(this.#store.rows.indexOf(line)) && this.#drawRange();
  }

  #takeFocus(): void {
    const row = this.#wantsFocus && this.selected ? this.#drawn.get(this.selected) : undefined;
    row?.focus({ preventScroll: true });
    this.#wantsFocus = false;
  }

  // --- scrolling ----------------------------------------------------------------------------------

  #firstInSight(): number {
    return this.#tops.at(this.#scroller.top - this.lead.offsetHeight);
  }

  /** Into sight, not to the edge where that is not needed. */
  #scrollToRow(index: number): boolean {
    this.#layOut();
    const top = this.#tops.top(index);
    return this.#scroller.reveal(top + this.lead.offsetHeight, this.#tops.top(index + 1) - top);
  }

  /** The row of a line, or of the one that now stands where it stood. */
  #indexNear(line: Line): number {
    const index = this.#store.rows.indexOf(line);
    return index >= 0 ? index : Math.max(0, this.#store.rows.findIndex((row) => row.time >= line.time));
  }
}
