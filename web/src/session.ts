// What is watched: live, or a place in the past.
import { createClient, toItem, type Envelope, type Gap, type LogItem, type SubscribeOptions, type Subscription } from '../../clients/js/src/index.js';
import { lineOf, noteOf, type Line, type LogView } from '../../clients/js/src/log-view/index.js';
import { Meter } from './meter.js';
import { getToken } from './settings.js';

const TAIL = 500;
const PAGE = 300;
const STANDING = new Set(['scanning', 'streaming', 'polling']);
const PAGES_MAX = 10; // of which all lines were filtered away, before the reader is asked

export type Older = 'idle' | 'loading' | 'beginning' | 'full' | 'failed';

export interface SessionEvents {
  /** Something that the frame of the page shows changed. */
  changed(): void;
  /** A request was refused for want of rights. */
  failed(error: Error): void;
}

const clock = (iso: string | null): string => (iso ? new Date(iso).toLocaleString() : '?');

function gapText(gap: Gap): string {
  const why: Record<string, string> = {
    history_lost: 'The oplog no longer reaches back to where this page was.',
    invalid_id: 'The server does not know the place where this page was.',
    unknown_source: 'A source was added; it starts live.',
    mode_changed: 'The source changed the way it reads.',
    oversize: 'A change was too large for a change stream; it is in the collection.',
  };
  const span = gap.from || gap.to ? ` From ${clock(gap.from)} to ${clock(gap.to)}.` : '';
  const read = gap.replayed ? ` ${gap.replayed} lines of it were read from the collection${gap.complete ? '.' : ', more are there.'}` : '';
  return `GAP  ${why[gap.reason] ?? gap.reason}${span}${read}${gap.complete ? '' : ' Something may be missing here.'}`;
}

/** A page of history as lines, oldest first. */
const linesOf = (items: LogItem[], envelopes: Envelope[]): Line[] => items.map((item, i) => lineOf(item, envelopes[i] as Envelope));

export class Session {
  readonly client;
  readonly meter = new Meter();
  subscription: Subscription | undefined;
  channels = 'logs:*';
  /** Sources that MongoDB does not answer for. */
  away = new Set<string>();
  past = false;
  /** The server asks nobody who they are. */
  open = false;
  older: Older = 'idle';
  seen = new Map<string, number>(); // channels, and how many lines of each
  #olderFrom: { key: string; next: string | null } | undefined;
  #newer: string | null = null;
  #loading = false;
  #generation = 0;

  constructor(private base: string, private view: LogView, private events: SessionEvents, private filter: SubscribeOptions) {
    this.client = createClient({ url: base, getToken });
  }

  /** From now on, after what came lately. */
  live(channels: string, since?: string): void {
    this.#begin(channels, false);
    const start: SubscribeOptions = since ? { since } : { tail: this.filter.tail ?? TAIL };
    const s = this.client.subscribe(channels.split(',').map((c) => c.trim()).filter(Boolean), { ...this.filter, tail: undefined, ...start });
    this.subscription = s;
    s.on('status', () => this.events.changed());
    s.on('ready', (ready) => {
      void this.#askHealth(s);
      ready.denied?.length && this.#note('note', `Not granted: ${ready.denied.join(', ')}`);
      ready.unmatched?.length && this.#note('note', `No mapping produces: ${ready.unmatched.join(', ')}`);
      ready.mode === 'polling' && this.#note('note', 'This MongoDB has no change streams: the server polls, order and completeness are not promised.');
    });
    s.on('item', (item, { envelope, eventId }) => {
      this.meter.add(eventId && !envelope.replay ? Date.parse(envelope.ts) : NaN);
      this.#add([lineOf(item, envelope, eventId)]);
    });
    s.on('gap', (gap) => this.#note('gap', gapText(gap)));
    s.on('skipped', (skipped) => this.#note('skipped', `SKIPPED  ${skipped.events.toLocaleString('en')} lines: more came than were asked for.`));
    s.on('revoked', ({ channels: gone }) => this.#note('gap', `REVOKED  No longer granted: ${gone.join(', ')}`));
    s.on('source', (source) => {
      source.state === 'away' ? this.away.add(source.name) : this.away.delete(source.name);
      this.#note('note', source.state === 'away' ? `MongoDB is away (source ${source.name}).` : `MongoDB is back (source ${source.name}).`);
      this.events.changed();
    });
    s.on('heartbeat', ({ sources }) => {
      this.#setAway(sources);
    });
  }

  /** Around one line. */
  async around(channels: string, channel: string, id: string): Promise<void> {
    const generation = this.#begin(channels, true);
    const [event, before, after] = await Promise.all([
      this.client.event(channel, id),
      this.client.history(this.channels, { ...this.#query(), before: id, limit: PAGE / 3 }),
      this.client.history(this.channels, { ...this.#query(), after: id, limit: PAGE }),
    ]);
    if (generation === this.#generation) {
      const [line] = linesOf([{ ...toItem(event), id, channel }], [event]) as [Line];
      line.open = true;
      this.#add([...linesOf(before.items, before.envelopes).reverse(), line, ...linesOf(after.items, after.envelopes)]);
      this.#newer = after.next;
      this.view.refresh(line);
      requestAnimationFrame(() => this.view.select(line, true));
    }
  }

  /** From a moment on. */
  async at(channels: string, ms: number): Promise<void> {
    const generation = this.#begin(channels, true);
    const page = await this.client.history(this.channels, { ...this.#query(), after: ms, limit: PAGE });
    if (generation === this.#generation) {
      this.#add(linesOf(page.items, page.envelopes));
      this.#newer = page.next;
      this.view.pause();
      page.items.length || (await this.loadOlder());
    }
  }

  /** What came before the oldest line. */
  async loadOlder(): Promise<void> {
    const generation = this.#generation;
    if (this.#loading || this.older === 'beginning') {
      return;
    }
    this.#loading = true;
    this.#setOlder('loading');
    try {
      const state = await this.#readOlder(generation);
      generation === this.#generation && this.#setOlder(state);
    } catch (error) {
      generation === this.#generation && this.#setOlder('failed');
      this.events.failed(error as Error);
    } finally {
      this.#loading = false;
    }
  }

  /** In the past: what came after the newest line. False where there is nothing more. */
  loadNewer(): boolean {
    if (!this.past || this.#newer === null) {
      return this.past;
    }
    const generation = this.#generation;
    const after = this.#newer;
    this.#newer = null;
    this.client.history(this.channels, { ...this.#query(), after, limit: PAGE }).then((page) => {
      if (generation === this.#generation) {
        this.#newer = page.next;
        this.#add(linesOf(page.items, page.envelopes));
      }
    }, (error: Error) => {
      this.#newer = after;
      this.events.failed(error);
    });
    return true;
  }

  clear(): void {
    this.view.clear();
    this.older = 'idle';
    this.#olderFrom = undefined;
  }

  #begin(channels: string, past: boolean): number {
    this.subscription?.close();
    this.subscription = undefined;
    this.channels = channels;
    this.past = past;
    this.away.clear();
    this.#newer = null;
    this.clear();
    past ? this.view.pause() : this.view.follow();
    this.events.changed();
    return ++this.#generation;
  }

  async #readOlder(generation: number): Promise<Older> {
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const oldest = this.view.lines.find((line) => line.kind === 'log');
      const next = this.#olderFrom?.key === oldest?.key ? this.#olderFrom?.next : undefined;
      if (this.view.room < PAGE || next === null) {
        return next === null ? 'beginning' : 'full';
      }
      const before = next ?? oldest?.id;
      const page = await this.client.history(this.channels, { ...this.#query(), ...(before ? { before } : {}), limit: PAGE });
      if (generation !== this.#generation) {
        return 'idle';
      }
      const lines = linesOf(page.items, page.envelopes).reverse();
      lines.forEach((line) => this.#see(line));
      const added = this.view.prepend(lines);
      const key = this.view.lines.find((line) => line.kind === 'log')?.key ?? '';
      this.#olderFrom = { key, next: page.next };
      if (page.next === null) {
        return 'beginning';
      }
      if (added > 0) {
        return 'idle';
      }
    }
    return 'idle';
  }

  /** A stream that begins while MongoDB is away hears of it with the first heartbeat only. */
  async #askHealth(s: Subscription): Promise<void> {
    try {
      const health = (await (await this.client.fetch(`${this.base}/health`)).json()) as { open?: boolean; sources: { name: string; state: string }[] };
      if (s === this.subscription) {
        this.open = health.open === true;
        this.#setAway(health.sources);
      }
    } catch {
      // the stream itself will tell
    }
  }

  #setAway(sources: { name: string; state: string }[]): void {
    this.away = new Set(sources.filter((x) => !STANDING.has(x.state)).map((x) => x.name));
    this.events.changed();
  }

  #query(): { minLevel?: string; level?: string | string[]; q?: string } {
    const { minLevel, level, q } = this.filter;
    return { minLevel, level, q };
  }

  #add(lines: Line[]): void {
    lines.forEach((line) => this.#see(line));
    this.view.append(lines);
  }

  #see(line: Line): void {
    this.seen.set(line.channel, (this.seen.get(line.channel) ?? 0) + 1);
  }

  #note(kind: Line['kind'], text: string): void {
    this.view.append([noteOf(kind, text)]);
  }

  #setOlder(state: Older): void {
    this.older = state;
    this.events.changed();
  }
}
