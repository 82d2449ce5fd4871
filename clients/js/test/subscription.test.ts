import assert from 'node:assert/strict';
import { test as nodeTest } from 'node:test';
import { createClient, UnauthorizedError, type ClientOptions, type LogItem, type Status, type SubscribeOptions } from '../src/index.js';
import { frame, log, ready, Server, until } from './server.js';

const test = (name: string, run: () => Promise<void>): void => void nodeTest(name, { timeout: 10_000 }, run);

function start(options: ClientOptions = {}, subscribe: SubscribeOptions = {}) {
  const server = new Server();
  const client = createClient({ url: 'http://server', fetch: server.fetch, minDelay: 1, maxDelay: 4, ...options });
  const got: unknown[] = [];
  const states: Status[] = [];
  const subscription = client.subscribe('logs:*', { onItem: (item) => got.push(item.n), onStatus: (s) => states.push(s), ...subscribe });
  return { server, client, subscription, got, states };
}

test('items come as documents with fixed names', async () => {
  const items: LogItem[] = [];
  const { server, subscription } = start({}, { onItem: (item) => items.push(item) });
  const request = await server.next();
  assert.equal(request.url.pathname, '/api/logs/stream');
  assert.equal(request.url.searchParams.get('channels'), 'logs:*');
  request.stream(ready(), frame('logs', { channel: 'logs:etl:w1:f1', type: 'log', ts: 'T', log_data: { _id: 'x', msg: 'hello', lvl: 'warn', type: 'other' } }, '2'));
  await until(() => items.length === 1);
  assert.deepEqual(items[0], { _id: 'x', msg: 'hello', lvl: 'warn', type: 'log', id: 'x', channel: 'logs:etl:w1:f1', timestamp: 'T', time: 'T', level: 'warn', message: 'hello' });
  assert.equal(subscription.lastEventId, '2');
  subscription.close();
});

test('a cut connection goes on from the last id, and says so', async () => {
  const { server, subscription, got, states } = start();
  let request = await server.next();
  assert.equal(request.headers['Last-Event-ID'], undefined);
  request.stream(ready(), log(1), log(2));
  await until(() => got.length === 2);
  request.cut();
  request = await server.next();
  assert.equal(request.headers['Last-Event-ID'], '0000000000000002-a');
  request.stream(ready('0000000000000002-a', { resumed: 'overlap' }), log(2), log(3));
  await until(() => got.length === 3);
  assert.deepEqual(got, [1, 2, 3]);
  assert.deepEqual(states.filter((s, i) => s !== states[i - 1]), ['connecting', 'connected', 'reconnecting', 'connected']);
  subscription.close();
  assert.equal(request.aborted, true);
  assert.equal(subscription.status, 'closed');
});

test('rows without an id are told apart by their _id when a read is repeated', async () => {
  const { server, subscription, got } = start({}, { tail: 2 });
  let request = await server.next();
  request.stream(frame('ready', { heartbeat_s: 25 }), log(1, ''), log(2, ''));
  await until(() => got.length === 2);
  request.cut();
  request = await server.next();
  assert.equal(request.headers['Last-Event-ID'], undefined);
  assert.equal(request.url.searchParams.get('tail'), '2');
  request.stream(frame('ready', { heartbeat_s: 25 }), log(1, ''), log(2, ''), log(3, ''), frame('caught-up', {}, '9'));
  await until(() => subscription.lastEventId === '9');
  assert.deepEqual(got, [1, 2, 3]);
  subscription.close();
});

test('heartbeats move the place', async () => {
  const { server, subscription } = start();
  (await server.next()).stream(ready(), frame('heartbeat', { time: 'T', sources: [] }, '00000000000000ff'));
  await until(() => subscription.lastEventId === '00000000000000ff');
  subscription.close();
});

test('goaway: the next connection stands before the first one is closed; nothing twice', async () => {
  const { server, subscription, got, states } = start();
  const first = await server.next();
  first.stream(ready(), log(1), frame('goaway', { reason: 'drain', reconnect_ms: 5 }));
  const second = await server.next();
  assert.equal(first.aborted, false);
  first.send(log(2)); // until the successor is ready, this one delivers
  await until(() => got.length === 2);
  second.stream(ready('0000000000000001-a'), log(2), log(3));
  await until(() => got.length === 3);
  assert.equal(first.aborted, true);
  assert.deepEqual(got, [1, 2, 3]);
  assert.deepEqual(states.filter((s, i) => s !== states[i - 1]), ['connecting', 'connected']);
  subscription.close();
});

test('goaway: cut before the successor stands', async () => {
  const { server, subscription, got } = start();
  const first = await server.next();
  first.stream(ready(), log(1), frame('goaway', { reason: 'drain', reconnect_ms: 20 }));
  await until(() => got.length === 1);
  first.cut();
  await until(() => subscription.status === 'reconnecting');
  const second = await server.next();
  assert.equal(second.headers['Last-Event-ID'], '0000000000000001-a');
  second.stream(ready(), log(2));
  await until(() => got.length === 2);
  assert.equal(server.requests.length, 0);
  subscription.close();
});

test('waits as long as retry:, Retry-After and refused say', async () => {
  const { server, subscription } = start({ random: () => 0 });
  const waited = async (): Promise<number> => {
    const began = Date.now();
    return server.next().then((request) => {
      requests.push(request);
      return Date.now() - began;
    });
  };
  const requests = [await server.next()];
  requests[0]?.stream('retry: 60\n\n');
  requests[0]?.end();
  assert.ok((await waited()) >= 55, 'retry:');
  requests[1]?.json(503, { code: 'busy' }, { 'retry-after': '1' });
  assert.ok((await waited()) >= 950, 'Retry-After');
  requests[2]?.stream(`retry: 1\n${frame('refused', { code: 'limit_connections', retry_ms: 90 })}`);
  requests[2]?.end();
  assert.ok((await waited()) >= 85, 'refused');
  assert.equal(subscription.detail.attempt, 3);
  subscription.close();
});

test('a silent link is given up', async () => {
  const { server, subscription } = start();
  const request = await server.next();
  request.stream(ready('1', { heartbeat_s: 0.1 }));
  await until(() => subscription.status === 'connected');
  await until(() => subscription.detail.code === 'stalled');
  assert.equal(request.aborted, true);
  subscription.close();
});

test('401 asks for another token once, then stops; reconnect() tries again', async () => {
  const reasons: string[] = [];
  const { server, subscription } = start({ getToken: ({ reason }) => (reasons.push(reason), `token${reasons.length}`) });
  const first = await server.next();
  assert.equal(first.headers.Authorization, 'Bearer token1');
  first.json(401, { code: 'invalid_credentials', detail: 'no' });
  const second = await server.next();
  assert.equal(second.headers.Authorization, 'Bearer token2');
  second.json(401, { code: 'invalid_credentials', detail: 'no' });
  await until(() => subscription.status === 'unauthorized');
  assert.deepEqual([subscription.detail.httpStatus, subscription.detail.code, subscription.detail.message], [401, 'invalid_credentials', 'no']);
  assert.deepEqual(reasons, ['connect', 'refused']);
  subscription.reconnect();
  (await server.next()).stream(ready());
  await until(() => subscription.status === 'connected');
  subscription.close();
});

test('403 stops, and an iterator throws', async () => {
  const { server, subscription } = start();
  (await server.next()).json(403, { code: 'not_granted', detail: 'nothing' });
  await assert.rejects(async () => {
    for await (const item of subscription) {
      assert.fail(String(item));
    }
  }, UnauthorizedError);
});

test('400 closes for good', async () => {
  const { server, subscription } = start();
  (await server.next()).json(400, { code: 'invalid_channel', detail: 'a segment is empty' });
  await until(() => subscription.status === 'closed');
  assert.equal(subscription.detail.message, 'a segment is empty');
});

test('something else than a stream, and no answer, are tried again', async () => {
  const { server, subscription } = start();
  (await server.next()).json(200, { hello: 'from a proxy' });
  (await server.next()).fail();
  (await server.next()).stream(ready());
  await until(() => subscription.status === 'connected');
  assert.equal(subscription.detail.attempt, 0);
  subscription.close();
});

test('pause keeps the place, resume goes on from it', async () => {
  const { server, subscription, got } = start();
  const first = await server.next();
  first.stream(ready(), log(1));
  await until(() => got.length === 1);
  subscription.pause();
  assert.equal(first.aborted, true);
  assert.equal(subscription.status, 'paused');
  subscription.resume();
  const second = await server.next();
  assert.equal(second.headers['Last-Event-ID'], '0000000000000001-a');
  subscription.close();
});

test('an expired ticket is renewed by what ready gave', async () => {
  const { server, subscription } = start({}, { ticket: 'first' });
  let request = await server.next();
  assert.equal(request.url.searchParams.get('ticket'), 'first');
  request.stream(ready('1', { renew: 'second' }));
  await until(() => subscription.status === 'connected');
  request.cut();
  request = await server.next();
  assert.equal(request.url.searchParams.get('ticket'), 'second');
  subscription.close();
});

test('gap, skipped, source, revoked are told', async () => {
  const { server, subscription } = start();
  const told: string[] = [];
  for (const name of ['gap', 'skipped', 'source', 'revoked', 'caught-up'] as const) {
    subscription.on(name, () => told.push(name));
  }
  (await server.next()).stream(ready(), frame('gap', { reason: 'oversize' }), frame('skipped', { events: 3 }), frame('source', {}), frame('revoked', {}), frame('caught-up', {}));
  await until(() => told.length === 5);
  assert.deepEqual(told, ['gap', 'skipped', 'source', 'revoked', 'caught-up']);
  subscription.close();
});

test('an iterator drops the oldest beyond its bound, and says so', async () => {
  const { server, subscription } = start({}, { maxQueue: 2 });
  let skipped = 0;
  subscription.on('skipped', ({ events }) => (skipped += events));
  const items = subscription[Symbol.asyncIterator]();
  (await server.next()).stream(ready(), log(1), log(2), log(3), log(4));
  await until(() => subscription.lastEventId === '0000000000000004-a');
  assert.equal((await items.next()).value.n, 3);
  assert.equal((await items.next()).value.n, 4);
  assert.equal(skipped, 2);
  await items.return?.();
  assert.equal(subscription.status, 'closed');
});

test('long lists go into a body', async () => {
  const server = new Server();
  const client = createClient({ url: '/api/sse', fetch: server.fetch });
  const channels = Array.from({ length: 200 }, (_, i) => `logs:etl:workspace${i}:workflow${i}`);
  client.subscribe(channels, { tail: 5 });
  const request = await server.next();
  assert.equal(request.method, 'POST');
  assert.equal(request.url.pathname + request.url.search, '/api/sse');
  assert.deepEqual(JSON.parse(request.body ?? ''), { channels, tail: '5' });
  client.close();
});

test('history, and what came before', async () => {
  const { server, client, subscription, got } = start();
  (await server.next()).stream(ready(), log(5));
  await until(() => got.length === 1);
  const event = (n: number) => ({ channel: 'c', type: 'log', ts: 'T', log_data: { _id: `id${n}`, n } });
  const older = subscription.loadOlder(2);
  const request = await server.next();
  assert.equal(request.url.pathname + request.url.search, '/api/logs/history?channels=logs%3A*&before=id5&limit=2');
  request.json(200, { events: [event(4), event(3)], next: 'there', complete: true });
  assert.deepEqual((await older).items.map((i) => i.n), [4, 3]);
  const more = subscription.loadOlder(2);
  const second = await server.next();
  assert.equal(second.url.searchParams.get('before'), 'there');
  second.json(200, { events: [], next: null, complete: true });
  assert.deepEqual((await more).items, []);
  assert.deepEqual((await subscription.loadOlder()).next, null);
  const failing = client.history('logs:*');
  (await server.next()).json(429, { code: 'busy', detail: 'later' }, { 'retry-after': '2' });
  await assert.rejects(failing, { status: 429, code: 'busy', retryAfterMs: 2000 });
  subscription.close();
});
