// Jumping to a time: a moment in the past, or live with what came lately.
import { byId, makeButton } from './dom.js';

/** By their keys, 0 to 5. */
export const RANGES = [
  { label: 'live', since: undefined }, { label: '1 min', since: '-1m' }, { label: '5 min', since: '-5m' },
  { label: '15 min', since: '-15m' }, { label: '30 min', since: '-30m' }, { label: '1 h', since: '-1h' },
];

const localText = (ms: number): string => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);

export class Jump {
  constructor(at: (ms: number) => void, range: (since: string | undefined) => void, private newest: () => number) {
    const dialog = byId<HTMLDialogElement>('jump-dialog');
    byId('jump-form').addEventListener('submit', () => {
      const ms = new Date(byId<HTMLInputElement>('jump-at').value).getTime();
      Number.isFinite(ms) && at(ms);
    });
    byId('jump-ranges').append(...RANGES.map(({ label, since }) => makeButton(label, () => {
      dialog.close();
      range(since);
    })));
  }

  open(): void {
    const now = this.newest();
    byId<HTMLInputElement>('jump-at').value = localText((Number.isFinite(now) ? now : Date.now()) - 10 * 60_000);
    byId<HTMLDialogElement>('jump-dialog').showModal();
  }
}
