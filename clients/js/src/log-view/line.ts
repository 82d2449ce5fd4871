import { documentOf } from '../item.js';
import type { Envelope, LogItem } from '../types.js';
import { levelOf, type Level } from './level.js';

/** One line of the view: a log, or something that happened to the stream. */
export interface Line {
  /** Tells lines apart: channel and `_id` of a log. */
  key: string;
  kind: 'log' | 'gap' | 'skipped' | 'note';
  /** Milliseconds since 1970. */
  time: number;
  level: Level;
  channel: string;
  id: string;
  message: string;
  /** What else the document says, on one line. */
  fields: string;
  document: unknown;
  truncated: boolean;
  replay: boolean;
  /** Its place in the stream; none for what was read from the collection. */
  eventId?: string | undefined;

  /** The view's own. */
  open?: boolean;
  shown?: boolean;
  height?: number;
  measured?: number;
}

const FIELDS_MAX = 1000;
const HIDDEN = new Set(['_id', 'id', 'level', 'severity', 'levelname', 'lvl', 'message', 'msg', 'text', 'timestamp', 'time', '@timestamp', 'channel']);
const ANSI = /\u001b\[[0-9;:?]*[ -/]*[@-~]/g;

const plain = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined ? '' : (JSON.stringify(value) ?? String(value));

function fieldsOf(document: Record<string, unknown>, envelope: Envelope): string {
  let out = '';
  for (const [name, value] of Object.entries(document)) {
    if (out.length > FIELDS_MAX) {
      return `${out.slice(0, FIELDS_MAX)}…`;
    }
    // What the channel says already is not said again.
    if (!HIDDEN.has(name) && value !== null && value !== '' && envelope[name] !== value) {
      out += `${out ? '  ' : ''}${name}=${plain(value)}`;
    }
  }
  return out.replace(ANSI, '');
}

function timeOf(item: LogItem, envelope: Envelope): number {
  for (const value of [item.timestamp, envelope.ts]) {
    const ms = typeof value === 'number' ? (value < 1e11 ? value * 1000 : value) : typeof value === 'string' ? Date.parse(value) : NaN;
    if (Number.isFinite(ms)) {
      return ms;
    }
  }
  return NaN;
}

export function lineOf(item: LogItem, envelope: Envelope, eventId?: string): Line {
  const document = documentOf(envelope);
  const fields = fieldsOf(document, envelope);
  const message = plain(item.message).replace(ANSI, '');
  return {
    key: `${item.channel} ${item.id}`,
    kind: 'log',
    time: timeOf(item, envelope),
    level: levelOf(item.level),
    channel: item.channel,
    id: item.id,
    message: message || fields,
    fields: message ? fields : '',
    document,
    truncated: envelope.truncated === true,
    replay: envelope.replay === true,
    eventId,
  };
}

let notes = 0;

/** A line that is no log. */
export function noteOf(kind: Line['kind'], message: string, document?: unknown): Line {
  return {
    key: `${kind} ${++notes}`, kind, message, document, time: Date.now(), level: 'unknown',
    channel: '', id: '', fields: '', truncated: false, replay: false,
  };
}
