import type { Filter, HistoryOptions, SubscribeOptions } from './types.js';

const STREAM = /\/(api\/logs\/stream|api\/sse|logs\/stream)\/?$/;

export interface Urls { stream: string; api: string }

/** From a base or a stream path, absolute or relative to the page, with or without a path prefix. */
export function resolveUrls(url: string): Urls {
  const plain = url.replace(/[?#].*$/, '');
  const base = plain.replace(STREAM, '').replace(/\/+$/, '');
  // A path of its own, such as an alias's, is taken for what it is.
  const stream = STREAM.test(plain) || /\/[^/]*stream\/?$/.test(plain) ? plain : `${base}/api/logs/stream`;
  return { stream, api: `${/stream\/?$/.test(base) ? '' : base}/api/logs` };
}

type Value = string | number | string[] | undefined;

const put = (out: Record<string, string>, name: string, value: Value): void => {
  if (value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0)) {
    out[name] = String(value); // a list with commas
  }
};

function filter(out: Record<string, string>, options: Filter): void {
  put(out, 'min_level', options.minLevel);
  put(out, 'level', options.level);
  put(out, 'q', options.q);
}

export function streamParams(channels: string[], options: SubscribeOptions): Record<string, string> {
  const out: Record<string, string> = { channels: channels.join(',') };
  filter(out, options);
  put(out, 'tail', options.tail);
  put(out, 'since', options.since);
  put(out, 'max_rate', options.maxRate);
  return out;
}

export function historyParams(channels: string[], options: HistoryOptions): Record<string, string> {
  const out: Record<string, string> = { channels: channels.join(',') };
  filter(out, options);
  put(out, 'before', options.before);
  put(out, 'after', options.after);
  put(out, 'limit', options.limit);
  return out;
}

export const withQuery = (url: string, params: Record<string, string>): string => `${url}?${new URLSearchParams(params)}`;
