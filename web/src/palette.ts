// The channels that were seen: which to watch, and which lines to hide.
import { channelHue } from '../../clients/js/src/log-view/index.js';
import { parseChannel, formatChannel } from '../../clients/js/src/index.js';
import { byId, count, make, makeButton } from './dom.js';

const SHOWN_MAX = 200;

/** Above a channel: logs:a:b:c gives logs:a:b:*, logs:a:*, logs:*. */
function above(channel: string): string[] {
  const segments = parseChannel(channel);
  return segments.slice(1).map((_, i) => formatChannel(...segments.slice(0, segments.length - 1 - i), '*'));
}

export class Palette {
  hidden = new Set<string>();
  #at = 0;
  #shown: string[] = [];

  constructor(private seen: () => Map<string, number>, private watch: (channels: string) => void, private changed: () => void) {
    const input = byId<HTMLInputElement>('palette-input');
    input.addEventListener('input', () => {
      this.#at = 0;
      this.#draw();
    });
    input.addEventListener('keydown', (e) => this.#onKey(e));
  }

  open(): void {
    byId<HTMLInputElement>('palette-input').value = '';
    this.#at = 0;
    this.#draw();
    byId<HTMLDialogElement>('palette').showModal();
    byId('palette-input').focus();
  }

  #onKey(e: KeyboardEvent): void {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      this.#at = Math.max(0, Math.min(this.#shown.length - 1, this.#at + (e.key === 'ArrowDown' ? 1 : -1)));
      this.#draw();
    } else if (e.key === 'Enter') {
      e.preventDefault();
      const typed = byId<HTMLInputElement>('palette-input').value.trim();
      this.#choose(this.#shown[this.#at] ?? typed);
    }
  }

  #choose(channel: string): void {
    if (channel) {
      byId<HTMLDialogElement>('palette').close();
      this.watch(channel);
    }
  }

  #draw(): void {
    const typed = byId<HTMLInputElement>('palette-input').value.trim();
    const seen = this.seen();
    const channels = [...seen.keys()].sort();
    const patterns = [...new Set(channels.flatMap(above))].sort();
    this.#shown = [...patterns, ...channels].filter((c) => c.toLowerCase().includes(typed.toLowerCase())).slice(0, SHOWN_MAX);
    typed && !this.#shown.includes(typed) && (/[*,:]/.test(typed) ? this.#shown.unshift(typed) : this.#shown.push(typed));
    byId('palette-list').replaceChildren(...this.#shown.map((c, i) => this.#row(c, seen.get(c), i === this.#at)));
    byId('palette-list').querySelector('[data-at]')?.scrollIntoView({ block: 'nearest' });
  }

  #row(channel: string, lines: number | undefined, at: boolean): HTMLElement {
    const row = make('li');
    const button = makeButton('', () => this.#choose(channel));
    at && (row.dataset.at = '');
    if (lines !== undefined) {
      row.append(this.#box(channel));
      button.append(make('span', channel, `tw-hue-${channelHue(channel)}`), make('span', count(lines), 'count'));
    } else {
      button.append(make('span', channel));
    }
    row.append(button);
    return row;
  }

  #box(channel: string): HTMLElement {
    const box = make('input');
    box.type = 'checkbox';
    box.checked = !this.hidden.has(channel);
    box.setAttribute('aria-label', `Show lines of ${channel}`);
    box.addEventListener('change', () => {
      box.checked ? this.hidden.delete(channel) : this.hidden.add(channel);
      this.changed();
    });
    return box;
  }
}
