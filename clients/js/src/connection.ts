import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { errorOf, GatewayError } from './errors.js';

/** How long a server may take to answer, and to send its first frame. */
const CONNECT_MS = 20_000;

export interface ConnectionHandlers {
  frame(message: EventSourceMessage): void;
  retry(ms: number): void;
  /** Once, and never after close(). */
  end(why: GatewayError): void;
}

/** One request whose answer is a stream, with a watchdog for links that died silently. */
export class Connection {
  #abort = new AbortController();
  #ended = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = 0;
  #silence = CONNECT_MS;

  constructor(private handlers: ConnectionHandlers) {}

  /** From now on no byte for so long means that the link is dead. */
  expectHeartbeat(everyMs: number): void {
    this.#silence = Math.max(everyMs * 2.5, 2000);
    this.#watch();
  }

  close(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  async open(get: typeof fetch, url: string, init: RequestInit): Promise<void> {
    this.#last = Date.now();
    this.#watch();
    try {
      const response = await get(url, { ...init, signal: this.#abort.signal, cache: 'no-store' });
      if (response.status !== 200) {
        this.#end(await errorOf(response));
      } else if (!response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body) {
        this.#end(new GatewayError(200, 'not_an_event_stream', 'the answer is no event stream'));
      } else {
        await this.#read(response.body);
        this.#end(new GatewayError(0, 'cut', 'the stream ended'));
      }
    } catch (error) {
      this.#end(new GatewayError(0, 'network', String(error instanceof Error ? error.message : error)));
    }
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    const parser = createParser({
      onEvent: (message) => this.#ended || this.handlers.frame(message),
      onRetry: (ms) => this.#ended || this.handlers.retry(ms),
    });
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#ended) {
        return;
      }
      this.#last = Date.now();
      parser.feed(decoder.decode(value, { stream: true }));
    }
  }

  /** One timer that looks again, instead of one that is set for every chunk. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#ended) {
      return;
    }
    const left = this.#last + this.#silence - Date.now();
    if (left <= 0) {
      this.#end(new GatewayError(0, 'stalled', 'nothing came for too long'));
      this.#abort.abort();
    } else {
      this.#timer = setTimeout(() => this.#watch(), left);
    }
  }

  #end(why: GatewayError): void {
    if (!this.#ended) {
      this.#ended = true;
      clearTimeout(this.#timer);
      this.handlers.end(why);
    }
  }
}
