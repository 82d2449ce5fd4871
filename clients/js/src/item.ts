import type { Envelope, LogItem } from './types.js';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The document of an event. */
export function documentOf(envelope: Envelope): Record<string, unknown> {
  const document = envelope.log_data ?? envelope.data;
  return isObject(document) ? document : { value: document };
}

/** The document itself, with id, channel and type, and with time, level and message where it names them otherwise. */
export function toItem(envelope: Envelope): LogItem {
  const d = documentOf(envelope);
  const timestamp = d.timestamp ?? d.time ?? d['@timestamp'] ?? envelope.ts;
  return {
    ...d,
    id: String(d._id ?? envelope._id ?? ''),
    channel: envelope.channel,
    type: envelope.type,
    timestamp,
    time: d.time ?? timestamp,
    level: d.level ?? d.severity ?? d.levelname ?? d.lvl,
    message: d.message ?? d.msg ?? d.text,
  };
}
