import { errorOf, UnauthorizedError } from './errors.js';
import { toItem } from './item.js';
import { Subscription } from './subscription.js';
import type { ClientOptions, Envelope, HistoryOptions, HistoryPage, SubscribeOptions } from './types.js';
import { historyParams, resolveUrls, withQuery, type Urls } from './urls.js';

const list = (channels: string | string[]): string[] => (Array.isArray(channels) ? channels : channels.split(','));

/** What talks to one server as one reader. */
export class Client {
  readonly urls: Urls;
  #subscriptions = new Set<Subscription>();

  constructor(readonly options: ClientOptions = {}) {
    this.urls = resolveUrls(options.url ?? '');
  }

  /** Opens a stream, at once and until it is closed. */
  subscribe(channels: string | string[], options: SubscribeOptions = {}): Subscription {
    const subscription = new Subscription(this, list(channels), options);
    this.#subscriptions.add(subscription);
    subscription.on('status', (status) => status === 'closed' && this.#subscriptions.delete(subscription));
    return subscription;
  }

  /** A page of what the collections hold. */
  async history(channels: string | string[], options: HistoryOptions = {}): Promise<HistoryPage> {
    const url = withQuery(`${this.urls.api}/history`, historyParams(list(channels), options));
    const page = (await this.#json(url, options.signal)) as { events: Envelope[]; next: string | null; complete: boolean };
    return { items: page.events.map(toItem), envelopes: page.events, next: page.next, complete: page.complete };
  }

  /** One document whole, also where its event was cut to fit. */
  async event(channel: string, id: string, signal?: AbortSignal): Promise<Envelope> {
    return (await this.#json(withQuery(`${this.urls.api}/event`, { channel, id }), signal)) as Envelope;
  }

  /** Closes every subscription. */
  close(): void {
    this.#subscriptions.forEach((s) => s.close());
  }

  /** Headers of a request, with the token of now. */
  async headers(reason: 'connect' | 'refused', more: Record<string, string> = {}): Promise<Record<string, string>> {
    const token = await this.options.getToken?.({ reason });
    return { ...this.options.headers, ...more, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  }

  get fetch(): typeof fetch {
    return this.options.fetch ?? ((input, init) => fetch(input, init));
  }

  async #json(url: string, signal?: AbortSignal, again = false): Promise<unknown> {
    const headers = await this.headers(again ? 'refused' : 'connect', { Accept: 'application/json' });
    const response = await this.fetch(url, { headers, signal: signal ?? null, credentials: this.options.credentials });
    if (response.ok) {
      return response.json();
    }
    const error = await errorOf(response);
    if (error instanceof UnauthorizedError && error.status === 401 && this.options.getToken && !again) {
      return this.#json(url, signal, true);
    }
    throw error;
  }
}

export function createClient(options: ClientOptions = {}): Client {
  return new Client(options);
}
