// What a server's frames say, and what a client can be told. Names of fields are the server's.

export type Status = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'paused' | 'unauthorized' | 'closed';

/** Why the status is what it is. */
export interface StatusDetail {
  /** Failed attempts since the stream last stood; 0 while it stands. */
  attempt: number;
  /** When the next attempt begins, milliseconds since 1970; only while one is waited for. */
  nextRetryAt?: number;
  /** The HTTP status that led here. */
  httpStatus?: number;
  /** The server's stable code, or `network`, `stalled`, `cut`, `not_an_event_stream`. */
  code?: string;
  /** The server's sentence. */
  message?: string;
  /** False while the browser says that there is no network. */
  online: boolean;
}

/** The event as it was sent. */
export interface Envelope {
  channel: string;
  type: string;
  ts: string;
  _id?: string;
  log_data?: unknown;
  data?: unknown;
  /** Read from the collection, not from the change stream. */
  replay?: boolean;
  /** Its document was cut to fit; `client.event()` gives it whole. */
  truncated?: boolean;
  [label: string]: unknown;
}

/** The document itself, with what every log has under fixed names. */
export interface LogItem {
  /** The document's `_id`. */
  id: string;
  channel: string;
  type: string;
  timestamp: unknown;
  time: unknown;
  level: unknown;
  message: unknown;
  [field: string]: unknown;
}

/** What came with an item. */
export interface ItemMeta {
  envelope: Envelope;
  /** The position after this item; none for rows that were read from the collection. */
  eventId: string | undefined;
  /** The SSE event's name. */
  event: string;
}

export interface Ready {
  connection_id: string;
  channels: string[];
  denied?: string[];
  unmatched?: string[];
  heartbeat_s: number;
  mode: 'change_stream' | 'polling';
  resumed: 'no' | 'exact' | 'overlap' | 'pending' | 'gap';
  resume_window_s: number | null;
  renew: string | null;
}

export interface Gap {
  reason: 'history_lost' | 'invalid_id' | 'unknown_source' | 'mode_changed' | 'oversize' | (string & {});
  from: string | null;
  to: string | null;
  replayed: number;
  complete: boolean;
}

export interface Skipped { events: number; levels: Record<string, number> }
export interface CaughtUp { events: number; rows: number; complete: boolean; resumed: string; advice?: string }
export interface SourceState { name: string; state: 'away' | 'back' }
export interface Heartbeat { time: string; sources: { name: string; state: string; lag_ms: number | null; silent_ms: number }[] }

export interface SubscriptionEvents {
  item: [item: LogItem, meta: ItemMeta];
  status: [status: Status, detail: StatusDetail];
  ready: [ready: Ready];
  'caught-up': [caughtUp: CaughtUp];
  gap: [gap: Gap];
  skipped: [skipped: Skipped];
  source: [source: SourceState];
  revoked: [revoked: { channels: string[] }];
  goaway: [goaway: { reason: string; reconnect_ms: number }];
  refused: [refused: { code: string; retry_ms: number }];
  heartbeat: [heartbeat: Heartbeat];
}

/** What is asked for besides the channels. */
export interface Filter {
  minLevel?: string;
  level?: string | string[];
  q?: string;
}

export interface SubscribeOptions extends Filter {
  /** The newest N documents first. */
  tail?: number;
  /** From here on: ISO time, epoch ms, or `-15m`. */
  since?: string | number;
  /** From the event after this id on; overrides tail and since. */
  lastEventId?: string;
  /** At most so many events a second; the rest is dropped by the server and counted in `skipped`. */
  maxRate?: number;
  /** A ticket instead of a token, see POST /api/logs/ticket. */
  ticket?: string;
  /** Ends the subscription. */
  signal?: AbortSignal;
  /** What an iterator holds before it drops the oldest and says so in `skipped`; default 10,000. */
  maxQueue?: number;
  onItem?: (item: LogItem, meta: ItemMeta) => void;
  onStatus?: (status: Status, detail: StatusDetail) => void;
  onGap?: (gap: Gap) => void;
}

export interface HistoryOptions extends Filter {
  /** ISO time, epoch ms, an `_id`, or a page's `next`. Newest first. */
  before?: string | number;
  /** The same, oldest first. */
  after?: string | number;
  limit?: number;
  signal?: AbortSignal;
}

export interface HistoryPage {
  items: LogItem[];
  /** The same events as they were sent, in the same order. */
  envelopes: Envelope[];
  /** Where the next page begins; null when there is none. */
  next: string | null;
  /** False: the server stopped looking before the page was full; go on from `next`. */
  complete: boolean;
}

export interface ClientOptions {
  /** A base (`https://logs.example`) or a stream (`/api/logs/stream`); the other addresses are derived from it. */
  url?: string;
  /** Asked before every request; a 401 asks once more, with `reason: 'refused'`. Null or '' is no token. */
  getToken?: (why: { reason: 'connect' | 'refused' }) => string | null | undefined | Promise<string | null | undefined>;
  headers?: Record<string, string>;
  credentials?: RequestCredentials;
  fetch?: typeof fetch;
  /** Bounds of the waiting time between attempts, ms; default 500 and 20,000. */
  minDelay?: number;
  maxDelay?: number;
  /** For tests. */
  random?: () => number;
}
