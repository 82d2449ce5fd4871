import type { Subscription } from './subscription.js';
import type { LogItem } from './types.js';
import { UnauthorizedError } from './errors.js';

/** The items of a subscription, in order. Ends with the subscription; throws where there are no rights. */
export function iterate(subscription: Subscription, max: number): AsyncIterator<LogItem> {
  const queue: LogItem[] = [];
  let wake: (() => void) | undefined;
  let dropped = 0;
  const stops = [
    subscription.on('item', (item) => {
      queue.push(item);
      if (queue.length > max) {
        queue.shift();
        dropped++;
      }
      wake?.();
    }),
    subscription.on('status', () => wake?.()),
  ];
  const stop = (): void => stops.forEach((off) => off());
  return {
    async next() {
      for (;;) {
        if (dropped) {
          subscription.emit('skipped', { events: dropped, levels: {} });
          dropped = 0;
        }
        const item = queue.shift();
        if (item) {
          return { done: false, value: item };
        }
        if (subscription.status === 'unauthorized') {
          stop();
          throw new UnauthorizedError(subscription.detail.message, subscription.detail.httpStatus, subscription.detail.code);
        }
        if (subscription.status === 'closed') {
          stop();
          return { done: true, value: undefined };
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    async return() {
      stop();
      subscription.close();
      return { done: true, value: undefined };
    },
  };
}
