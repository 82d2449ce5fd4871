import { LEVELS, type Level } from './level.js';
import type { Line } from './line.js';

export type LineFilter = (line: Line) => boolean;

/** How many lines too many there may be before the oldest go, all at once. */
const CHUNK = 2000;

/** The same event, or one document read twice; a document that was replaced comes a second time as another event. */
const isSame = (a: Line, b: Line): boolean =>
  a.eventId && b.eventId ? a.eventId === b.eventId : JSON.stringify(a.document) === JSON.stringify(b.document);

/** The lines that are held, and of those the ones that a filter lets through, both oldest first. */
export class LineStore {
  all: Line[] = [];
  rows: Line[] = [];
  counts = Object.fromEntries(LEVELS.map((l) => [l, 0])) as Record<Level, number>;
  #keys = new Map<string, Line>();
  #filter: LineFilter | undefined;

  constructor(readonly max: number) {}

  /** Returns how many rows were added at the end. */
  append(lines: Line[]): number {
    const before = this.rows.length;
    for (const line of lines) {
      if (this.#take(line)) {
        this.all.push(line);
        line.shown && this.rows.push(line);
      }
    }
    return this.rows.length - before;
  }

  /** Returns how many rows were added at the beginning. */
  prepend(lines: Line[]): number {
    const fresh = lines.filter((line) => this.#take(line));
    const shown = fresh.filter((line) => line.shown);
    this.all = fresh.concat(this.all);
    this.rows = shown.concat(this.rows);
    return shown.length;
  }

  /** Drops the oldest lines beyond the maximum; returns how many rows that were. */
  trim(slack = 0): number {
    const excess = this.all.length - this.max;
    if (excess < CHUNK + slack) {
      return 0;
    }
    let rows = 0;
    for (const line of this.all.splice(0, excess)) {
      this.#keys.delete(line.key);
      this.#count(line, -1);
      rows += line.shown ? 1 : 0;
    }
    this.rows.splice(0, rows);
    return rows;
  }

  setFilter(filter: LineFilter | undefined): void {
    this.#filter = filter;
    this.rows = this.all.filter((line) => (line.shown = !filter || filter(line)));
  }

  clear(): void {
    this.all = [];
    this.rows = [];
    this.#keys.clear();
    LEVELS.forEach((level) => (this.counts[level] = 0));
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  get room(): number {
    return this.max - this.all.length;
  }

  #take(line: Line): boolean {
    const held = this.#keys.get(line.key);
    if (held && isSame(held, line)) {
      return false;
    }
    line.key = held ? `${line.key} ${line.eventId ?? this.#keys.size}` : line.key;
    if (held && this.#keys.has(line.key)) {
      return false;
    }
    this.#keys.set(line.key, line);
    this.#count(line, 1);
    line.shown = !this.#filter || this.#filter(line);
    return true;
  }

  #count(line: Line, by: number): void {
    if (line.kind === 'log') {
      this.counts[line.level] += by;
    }
  }
}
