// A server that a test speaks for: each request waits for what the test answers.

export interface Request {
  url: URL;
  headers: Record<string, string>;
  method: string;
  body: string | undefined;
  aborted: boolean;
  /** Begin the stream; what is given are frames. */
  stream(...frames: string[]): void;
  send(...frames: string[]): void;
  /** The link breaks, or ends as a proxy would. */
  cut(): void;
  end(): void;
  json(status: number, body: unknown, headers?: Record<string, string>): void;
  fail(): void;
}

export const frame = (event: string, data: unknown, id?: string): string => `event: ${event}\n${id ? `id: ${id}\n` : ''}data: ${JSON.stringify(data)}\n\n`;

export const ready = (id = '0000000000000001', more: object = {}): string =>
  frame('ready', { connection_id: 'c', channels: ['logs:*'], heartbeat_s: 25, mode: 'change_stream', resumed: 'no', resume_window_s: 10, renew: null, ...more }, id);

export const log = (n: number, id: string | undefined = `000000000000000${n}-a`, more: object = {}): string =>
  frame('logs', { channel: 'logs:etl:w1:f1', type: 'log', ts: '2026-11-21T00:00:00.000Z', log_data: { _id: `id${n}`, n }, ...more }, id);

export class Server {
  requests: Request[] = [];
  #waiting: ((request: Request) => void)[] = [];

  /** The next request that nobody took yet. */
  async next(): Promise<Request> {
    return this.requests.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  fetch = ((input: string, init: RequestInit = {}) => new Promise<Response>((resolve, reject) => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const encoder = new TextEncoder();
    const request: Request = {
      url: new URL(input, 'http://server'), headers: init.headers as Record<string, string>, method: init.method ?? 'GET',
      body: init.body as string | undefined, aborted: false,
      stream: (...frames) => {
        const body = new ReadableStream<Uint8Array>({ start: (c) => void (controller = c) });
        resolve(new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } }));
        request.send(...frames);
      },
      send: (...frames) => frames.forEach((f) => controller?.enqueue(encoder.encode(f))),
      cut: () => controller?.error(new TypeError('terminated')),
      end: () => controller?.close(),
      json: (status, body, headers) => resolve(new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/problem+json', ...headers } })),
      fail: () => reject(new TypeError('failed to fetch')),
    };
    init.signal?.addEventListener('abort', () => {
      request.aborted = true;
      reject(new DOMException('aborted', 'AbortError'));
      try {
        controller?.error(new DOMException('aborted', 'AbortError'));
      } catch {
        // it had ended
      }
    });
    const taker = this.#waiting.shift();
    taker ? taker(request) : this.requests.push(request);
  })) as typeof fetch;
}

/** Waits until it is true; the test's own limit ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
