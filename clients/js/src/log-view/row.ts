// The elements of one line. What comes from logs is only ever set as text.
import type { Line } from './line.js';
import { formatTime, type TimeMode } from './time.js';

export interface LineAction {
  label: string;
  run(line: Line): void;
  when?(line: Line): boolean;
}

export interface RowStyle {
  wrap: boolean;
  timeMode: TimeMode;
  highlight: RegExp | undefined;
  showChannel: boolean;
  actions: LineAction[];
}

const TEXT_MAX = 2000; // of a row on one line
const WRAPPED_MAX = 10_000;
const MARKS_MAX = 50; // in one row
const JSON_MAX = 200_000;
const HUES = 12;

export function element(name: string, className: string, text = ''): HTMLElement {
  const e = document.createElement(name);
  e.className = className;
  e.textContent = text;
  return e;
}

/** One of a few colours, always the same for a channel. */
export function channelHue(channel: string): number {
  let hash = 0;
  for (let i = 0; i < channel.length; i++) {
    hash = (hash * 31 + channel.charCodeAt(i)) | 0;
  }
  return Math.abs(hash) % HUES;
}

function appendMarked(to: HTMLElement, text: string, pattern: RegExp | undefined): void {
  let end = 0;
  let marks = 0;
  for (const match of pattern ? text.matchAll(pattern) : []) {
    if (!match[0] || ++marks > MARKS_MAX) {
      break;
    }
    to.append(text.slice(end, match.index), element('mark', '', match[0]));
    end = match.index + match[0].length;
  }
  to.append(text.slice(end));
}

function shorten(text: string, wrap: boolean): string {
  const max = wrap ? WRAPPED_MAX : TEXT_MAX;
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  return wrap ? cut : cut.replace(/\r?\n/g, ' ↵ ');
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Indented JSON, its tokens in colours. */
function jsonElement(value: unknown): HTMLElement {
  const pre = element('pre', 'tw-json');
  pre.tabIndex = 0;
  const text = (JSON.stringify(value, null, 2) ?? '').slice(0, JSON_MAX);
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const kind = match[2] ? 'tw-key' : match[1] ? 'tw-string' : 'tw-value';
    const token = match[1] ?? match[0];
    pre.append(text.slice(end, match.index), element('span', kind, token));
    end = match.index + token.length;
  }
  pre.append(text.slice(end));
  return pre;
}

function detailElement(line: Line, actions: LineAction[]): HTMLElement {
  const detail = element('div', 'tw-detail');
  const bar = element('div', 'tw-actions');
  for (const action of actions) {
    if (!action.when || action.when(line)) {
      const button = element('button', 'tw-action', action.label) as HTMLButtonElement;
      button.type = 'button';
      button.addEventListener('click', () => action.run(line));
      bar.append(button);
    }
  }
  bar.append(element('span', 'tw-where', [line.channel, Number.isFinite(line.time) && new Date(line.time).toISOString(), line.replay && 'read from the collection', line.truncated && 'cut to fit']
    .filter(Boolean).join(' · ')));
  const json = jsonElement(line.document);
  json.setAttribute('aria-label', 'The document');
  detail.append(bar, json);
  return detail;
}

function logCells(line: Line, style: RowStyle): HTMLElement[] {
  const toggle = element('button', 'tw-toggle') as HTMLButtonElement;
  toggle.type = 'button';
  toggle.tabIndex = -1;
  toggle.setAttribute('aria-expanded', String(!!line.open));
  toggle.setAttribute('aria-label', 'Details');
  const cells: HTMLElement[] = [toggle];
  if (style.timeMode !== 'off') {
    const time = element('time', 'tw-time', formatTime(line.time, style.timeMode));
    Number.isFinite(line.time) && (time.title = new Date(line.time).toISOString());
    cells.push(time);
  }
  cells.push(element('span', 'tw-level', line.level === 'unknown' ? '–' : line.level.toUpperCase()));
  if (style.showChannel) {
    const channel = element('span', `tw-channel tw-hue-${channelHue(line.channel)}`, line.channel);
    channel.title = line.channel;
    cells.push(channel);
  }
  return cells;
}

/** The line as an element. */
export function rowElement(line: Line, style: RowStyle): HTMLElement {
  const row = element('div', `tw-line tw-${line.kind} tw-l-${line.level}`);
  row.setAttribute('role', 'listitem');
  row.tabIndex = -1;
  const head = element('div', 'tw-head');
  const text = element('span', 'tw-text');
  if (line.kind === 'log') {
    head.append(...logCells(line, style));
  } else if (style.timeMode !== 'off') {
    head.append(element('time', 'tw-time', formatTime(line.time, style.timeMode)));
  }
  appendMarked(text, shorten(line.message, style.wrap), style.highlight);
  if (line.fields) {
    const fields = element('span', 'tw-fields');
    appendMarked(fields, shorten(line.fields, style.wrap), style.highlight);
    text.append('  ', fields);
  }
  head.append(text);
  row.append(head);
  line.open && line.kind === 'log' && row.append(detailElement(line, style.actions));
  return row;
}
