// What the address of the page says, and what a copied link holds.
import type { SubscribeOptions } from '../../clients/js/src/index.js';

export interface Place {
  channels: string;
  search: string;
  /** A line: its channel and _id. */
  line: { channel: string; id: string } | undefined;
  at: number | undefined;
  since: string | undefined;
  /** What the server filters by: min_level, level, q, max_rate, tail. */
  filter: SubscribeOptions;
}

const number = (text: string | null): number | undefined => (text && /^\d+$/.test(text) ? Number(text) : undefined);

export function readPlace(): Place {
  const query = new URLSearchParams(location.search);
  const hash = new URLSearchParams(location.hash.slice(1));
  const channel = hash.get('channel');
  const id = hash.get('id');
  const at = hash.get('at');
  return {
    channels: query.get('channels') || 'logs:*',
    search: query.get('search') ?? '',
    line: channel && id ? { channel, id } : undefined,
    at: at ? new Date(at).getTime() || undefined : undefined,
    since: query.get('since') ?? undefined,
    filter: {
      minLevel: query.get('min_level') ?? undefined,
      level: query.get('level') ?? undefined,
      q: query.get('q') ?? undefined,
      maxRate: number(query.get('max_rate')),
      tail: number(query.get('tail')),
    },
  };
}

/** This page with other channels; what the server filters by stays. */
export function addressOf(channels: string, hash = ''): string {
  const query = new URLSearchParams(location.search);
  query.delete('since');
  query.set('channels', channels);
  // Colons, commas and stars are what channels are made of, and allowed in a query.
  const text = query.toString().replace(/%3A/g, ':').replace(/%2C/g, ',').replace(/%2A/g, '*');
  return `${location.origin}${location.pathname}?${text}${hash}`;
}

export const lineHash = (channel: string, id: string): string => `#${new URLSearchParams({ channel, id })}`;
