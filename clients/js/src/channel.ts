// Channels: 1 to 8 segments joined by ':', in which the bytes of the grammar are percent-encoded.

const RESERVED = /[:,*%\s\u0000-\u001f\u007f]/g;

const encode = (value: string): string =>
  value.replace(RESERVED, (c) => Array.from(new TextEncoder().encode(c), (b) => '%' + b.toString(16).toUpperCase().padStart(2, '0')).join(''));

/** The channel or pattern of some segments; null, undefined and '*' are any. */
export function formatChannel(...segments: (string | null | undefined)[]): string {
  return segments.map((s) => (s == null || s === '*' ? '*' : encode(s))).join(':');
}

/** The segments of a channel, decoded; a '*' of a pattern stays '*'. */
export function parseChannel(channel: string): string[] {
  return channel.split(':').map((segment) => {
    try {
      return decodeURIComponent(segment);
    } catch {
      return segment;
    }
  });
}
