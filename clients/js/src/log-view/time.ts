export const TIME_MODES = ['local', 'utc', 'relative', 'off'] as const;
export type TimeMode = (typeof TIME_MODES)[number];

const pad = (n: number, width = 2): string => String(n).padStart(width, '0');
const DAY_MS = 86_400_000;

function local(ms: number, now: number): string {
  const d = new Date(ms);
  const clock = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`;
  return new Date(now).toDateString() === d.toDateString() ? clock : `${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock}`;
}

function utc(ms: number, now: number): string {
  const iso = new Date(ms).toISOString();
  const today = iso.slice(0, 10) === new Date(now).toISOString().slice(0, 10);
  return today ? iso.slice(11) : `${iso.slice(5, 10)} ${iso.slice(11)}`;
}

function relative(ms: number, now: number): string {
  const s = Math.max(0, Math.round((now - ms) / 1000));
  return s < 60 ? `${s} s ago` : s < 3600 ? `${Math.floor(s / 60)} min ago` : s < 2 * 86_400 ? `${Math.floor(s / 3600)} h ago` : `${Math.floor((now - ms) / DAY_MS)} days ago`;
}

/** A line's time; the date only where it is not today's. */
export function formatTime(ms: number, mode: TimeMode, now = Date.now()): string {
  if (mode === 'off' || !(Math.abs(ms) < 8.64e15)) {
    return '';
  }
  return mode === 'local' ? local(ms, now) : mode === 'utc' ? utc(ms, now) : relative(ms, now);
}
