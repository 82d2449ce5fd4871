import type { EventSourceMessage } from 'eventsource-parser';
import type { Client } from './client.js';
import { Connection } from './connection.js';
import { Emitter } from './emitter.js';
import { GatewayError, UnauthorizedError } from './errors.js';
import { toItem } from './item.js';
import { iterate } from './iterate.js';
import { Seen } from './seen.js';
import type { Envelope, HistoryPage, ItemMeta, LogItem, Ready, Status, StatusDetail, SubscribeOptions, SubscriptionEvents } from './types.js';
import { streamParams, withQuery } from './urls.js';

/** Longer addresses are refused by some proxies; the parameters then go into a POST's body. */
const URL_MAX = 4000;

/** Statuses after which asking again changes nothing. */
const isFinal = (status: number): boolean => status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429;

/**
 * A stream that stands until it is closed: it reconnects from the last id, waits as long as the server says, and opens
 * the next connection before it gives up the one that the server is about to close. Iterate over it, or listen.
 */
export class Subscription extends Emitter<SubscriptionEvents> {
  status: Status = 'idle';
  detail: StatusDetail = { attempt: 0, online: true };
  /** What the server last said that this connection gets. */
  ready: Ready | undefined;
  /** Everything before it was delivered. */
  lastEventId: string | undefined;

  #live: Connection | undefined; // delivers
  #opening: Connection | undefined; // not ready yet; while there is a live one, its successor
  #timer: ReturnType<typeof setTimeout> | undefined;
  #generation = 0; // what was begun before pause() or close() counts no longer
  #attempt = 0;
  #retryMs: number | undefined; // the server's wish
  #ticket: string | undefined;
  #tokenRefused = false;
  #seen = new Seen();
  #older: { before: string; next: string | null } | undefined;
  #oldest: string | undefined;

  constructor(private client: Client, readonly channels: string[], private options: SubscribeOptions) {
    super();
    this.lastEventId = options.lastEventId;
    this.#ticket = options.ticket;
    options.onItem && this.on('item', options.onItem);
    options.onStatus && this.on('status', options.onStatus);
    options.onGap && this.on('gap', options.onGap);
    options.signal?.addEventListener('abort', () => this.close());
    this.#listen('add');
    queueMicrotask(() => (options.signal?.aborted ? this.close() : this.status === 'idle' && this.reconnect()));
  }

  /** Drops the connection, keeps the place. */
  pause(): void {
    if (this.status !== 'closed') {
      this.#drop();
      this.#set('paused');
    }
  }

  /** Goes on from where it was paused: nothing is missed. */
  resume(): void {
    this.status === 'paused' && this.reconnect();
  }

  /** Connects now: after a new token, or when waiting takes too long. */
  reconnect(): void {
    if (this.status !== 'closed') {
      this.#drop();
      this.#attempt = 0;
      this.#tokenRefused = false;
      void this.#open();
    }
  }

  close(): void {
    if (this.status !== 'closed') {
      this.#drop();
      this.#listen('remove');
      this.#set('closed');
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<LogItem> {
    return iterate(this, this.options.maxQueue ?? 10_000);
  }

  /** What came before the oldest item so far, newest first; an empty page where there is no more. */
  async loadOlder(limit = 100): Promise<HistoryPage> {
    const { minLevel, level, q } = this.options;
    const before = this.#older ? this.#older.next : (this.#oldest ?? new Date().toISOString());
    if (before === null) {
      return { items: [], envelopes: [], next: null, complete: true };
    }
    const page = await this.client.history(this.channels, { before, limit, minLevel, level, q });
    this.#older = { before, next: page.next };
    return page;
  }

  // --- connecting ---------------------------------------------------------------------------------

  async #open(reason: 'connect' | 'refused' = 'connect'): Promise<void> {
    const generation = this.#generation;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#live) {
      this.#set(this.ready || this.#attempt ? 'reconnecting' : 'connecting');
    }
    const connection: Connection = new Connection({
      frame: (message) => this.#onFrame(connection, message),
      retry: (ms) => (this.#retryMs = ms),
      end: (why) => this.#onEnd(connection, why),
    });
    this.#opening = connection;
    try {
      const accept: Record<string, string> = { Accept: 'text/event-stream' };
      if (this.lastEventId) {
        accept['Last-Event-ID'] = this.lastEventId;
      }
      const headers = await this.client.headers(reason, accept);
      if (generation === this.#generation) {
        const [url, init] = this.#request(headers);
        await connection.open(this.client.fetch, url, init);
      }
    } catch (error) {
      // Only getToken() throws.
      if (generation === this.#generation) {
        this.#onEnd(connection, error instanceof GatewayError ? error : new GatewayError(0, 'token', String(error)));
      }
    }
  }

  #request(headers: Record<string, string>): [string, RequestInit] {
    const params = streamParams(this.channels, this.options);
    if (this.#ticket) {
      params.ticket = this.#ticket;
    }
    const { credentials } = this.client.options;
    const url = withQuery(this.client.urls.stream, params);
    if (url.length <= URL_MAX) {
      return [url, { headers, credentials }];
    }
    const body = JSON.stringify({ ...params, channels: this.channels });
    return [this.client.urls.stream, { method: 'POST', body, credentials, headers: { ...headers, 'Content-Type': 'application/json' } }];
  }

  #onEnd(connection: Connection, why: GatewayError): void {
    if (connection === this.#live) {
      this.#live = undefined;
      this.ready && (this.#opening || this.#timer) && this.#set('reconnecting', why);
      this.#opening || this.#timer || this.#again(why);
    } else if (connection === this.#opening) {
      this.#opening = undefined;
      this.#again(why);
    }
  }

  #again(why: GatewayError): void {
    if (why.status === 401 && this.client.options.getToken && !this.#tokenRefused) {
      this.#tokenRefused = true;
      void this.#open('refused');
    } else if (why instanceof UnauthorizedError) {
      this.#drop();
      this.#set('unauthorized', why);
    } else if (isFinal(why.status)) {
      this.#drop();
      this.#listen('remove');
      this.#set('closed', why);
    } else {
      this.#wait(this.#delay(why.retryAfterMs), why);
    }
  }

  /** Full jitter, and never earlier than the server wishes, which spreads its wishes itself. */
  #delay(retryAfterMs = 0): number {
    const { minDelay = 500, maxDelay = 20_000, random = Math.random } = this.client.options;
    const jitter = random() * Math.min(maxDelay, minDelay * 2 ** Math.min(this.#attempt, 16));
    this.#attempt++;
    return Math.max(jitter, this.#retryMs ?? 0, retryAfterMs);
  }

  #wait(ms: number, why?: GatewayError): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#open(), ms);
    this.#live || this.#set('reconnecting', why, Date.now() + ms);
  }

  #drop(): void {
    this.#generation++;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#live?.close();
    this.#opening?.close();
    this.#live = this.#opening = undefined;
  }

  // --- frames -------------------------------------------------------------------------------------

  #onFrame(connection: Connection, message: EventSourceMessage): void {
    if (connection !== this.#live && connection !== this.#opening) {
      return;
    }
    let data;
    try {
      data = JSON.parse(message.data);
    } catch {
      return; // not of our server
    }
    switch (message.event) {
      case 'ready':
        this.#onReady(connection, data, message.id);
        return;
      case 'refused':
        this.#onRefused(data);
        break;
      case 'goaway':
        // This one goes on until the server closes it; by then the next stands.
        this.#opening || this.#wait(data.reconnect_ms ?? 0);
        break;
      case 'heartbeat': case 'caught-up': case 'gap': case 'skipped': case 'source': case 'revoked':
        break;
      default:
        this.#onItem(message, data);
        return;
    }
    this.lastEventId = message.id ?? this.lastEventId;
    this.emit(message.event, data);
  }

  #onReady(connection: Connection, ready: Ready, id: string | undefined): void {
    if (connection === this.#opening) {
      this.#opening = undefined;
      // A successor begins before where the other one is: that place stays.
      this.lastEventId = (this.#live ? this.lastEventId : id) ?? this.lastEventId;
      this.#live?.close();
      this.#live = connection;
    }
    connection.expectHeartbeat((ready.heartbeat_s || 25) * 1000);
    this.ready = ready;
    this.#attempt = 0;
    this.#tokenRefused = false;
    this.#ticket = this.#ticket && (ready.renew ?? this.#ticket);
    this.#set('connected');
    this.emit('ready', ready);
  }

  #onRefused(refused: { code: string; retry_ms: number }): void {
    this.#retryMs = refused.retry_ms;
    this.#set(this.#live ? this.status : 'reconnecting', new GatewayError(200, refused.code, ''));
  }

  #onItem(message: EventSourceMessage, envelope: Envelope): void {
    const item = toItem(envelope);
    if (!this.#seen.add(message.id ?? `${item.channel} ${item.id}`)) {
      return;
    }
    this.lastEventId = message.id ?? this.lastEventId;
    this.#oldest ??= item.id || envelope.ts;
    const meta: ItemMeta = { envelope, eventId: message.id, event: message.event ?? 'message' };
    this.emit('item', item, meta);
  }

  // --- state --------------------------------------------------------------------------------------

  #set(status: Status, why?: GatewayError, nextRetryAt?: number): void {
    this.status = status;
    this.detail = { attempt: this.#attempt, online: globalThis.navigator?.onLine !== false };
    if (nextRetryAt !== undefined) {
      this.detail.nextRetryAt = nextRetryAt;
    }
    if (why) {
      Object.assign(this.detail, { code: why.code, message: why.message }, why.status && { httpStatus: why.status });
    }
    this.emit('status', status, this.detail);
  }

  #listen(how: 'add' | 'remove'): void {
    const scope = globalThis as unknown as Partial<Window>;
    scope[`${how}EventListener`]?.('online', this.#wake);
    scope.document?.[`${how}EventListener`]?.('visibilitychange', this.#wake);
  }

  /** The network is back, or somebody looks: whoever waits need not. */
  #wake = (): void => {
    if (this.status === 'reconnecting' && this.#timer && globalThis.document?.visibilityState !== 'hidden') {
      void this.#open();
    }
  };
}
