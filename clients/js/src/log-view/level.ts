// The server's names of severities, so that a filter here agrees with one there.

export const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'] as const;
export type Level = (typeof LEVELS)[number];

const NAMES: Record<Exclude<Level, 'unknown'>, string> = {
  fatal: 'fatal critical crit alert emerg emergency panic dpanic',
  error: 'error err eror severe exception',
  warn: 'warn warning wrn',
  info: 'info inf notice information informational success config',
  debug: 'debug dbug dbg verbose http fine',
  trace: 'trace silly finer finest',
};
const BY_NAME = new Map<string, Level>();
for (const [level, names] of Object.entries(NAMES)) {
  names.split(' ').forEach((name) => BY_NAME.set(name, level as Level));
}

/** The severity that a log's level stands for: a name in any case, or pino's number. */
export function levelOf(value: unknown): Level {
  if (typeof value === 'number') {
    return value >= 60 ? 'fatal' : value >= 50 ? 'error' : value >= 40 ? 'warn' : value >= 30 ? 'info' : value >= 20 ? 'debug' : value >= 10 ? 'trace' : 'unknown';
  }
  return BY_NAME.get(String(value ?? '').toLowerCase()) ?? 'unknown';
}
