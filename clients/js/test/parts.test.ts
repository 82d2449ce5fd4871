import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatChannel, parseChannel } from '../src/index.js';
import { resolveUrls } from '../src/urls.js';
import { levelOf } from '../src/log-view/level.js';
import { lineOf, type Line } from '../src/log-view/line.js';
import { LineStore } from '../src/log-view/store.js';
import { formatTime } from '../src/log-view/time.js';
import { Tops } from '../src/log-view/tops.js';
import { toItem } from '../src/item.js';

test('addresses are derived from a base or a stream', () => {
  assert.deepEqual(resolveUrls(''), { stream: '/api/logs/stream', api: '/api/logs' });
  assert.deepEqual(resolveUrls('https://x/'), { stream: 'https://x/api/logs/stream', api: 'https://x/api/logs' });
  assert.deepEqual(resolveUrls('/prefix/api/sse'), { stream: '/prefix/api/sse', api: '/prefix/api/logs' });
  assert.deepEqual(resolveUrls('/api/logs/stream?x=1'), { stream: '/api/logs/stream', api: '/api/logs' });
  assert.deepEqual(resolveUrls('/api/etl/sse/logs/stream'), { stream: '/api/etl/sse/logs/stream', api: '/api/etl/sse/api/logs' });
});

test('channels: what the grammar uses is encoded', () => {
  assert.equal(formatChannel('logs', 'a:b', null, '*', 'ü 50%'), 'logs:a%3Ab:*:*:ü%2050%25');
  assert.deepEqual(parseChannel('logs:a%3Ab:%2A:%'), ['logs', 'a:b', '*', '%']);
});

test('levels by name and number', () => {
  const of = (...values: unknown[]): string => values.map(levelOf).join(' ');
  assert.equal(of('INFO', 'Warning', 'err', 'CRITICAL', 'silly', 30, 35, 60, 5, 'what', undefined), 'info warn error fatal trace info info fatal unknown unknown unknown');
});

test('a line says what is not said elsewhere, without escape sequences', () => {
  const envelope = { channel: 'c', type: 'log', ts: '2026-11-21T00:00:00.000Z', workspace_id: 'w1', log_data: { _id: 1, workspace_id: 'w1', message: '\u001b[31mred\u001b[0m', n: 5, o: { a: [1] } } };
  const line = lineOf(toItem(envelope), envelope);
  assert.deepEqual([line.message, line.fields, line.key, line.time], ['red', 'n=5  o={"a":[1]}', 'c 1', Date.UTC(2026, 10, 21)]);
});

test('times', () => {
  const now = Date.UTC(2026, 10, 21, 12);
  assert.equal(formatTime(now - 1234, 'utc', now), '11:59:58.766Z');
  assert.equal(formatTime(now - 86_400_000, 'utc', now), '11-20 12:00:00.000Z');
  assert.equal(formatTime(now - 90_000, 'relative', now), '1 min ago');
  assert.equal(formatTime(NaN, 'local', now), '');
});

const line = (n: number, level: Line['level'] = 'info'): Line => ({
  key: String(n), kind: 'log', time: n, level, channel: 'c', id: String(n), message: '', fields: '', document: {}, truncated: false, replay: false,
});

test('the store holds each line once, filters, and drops the oldest', () => {
  const store = new LineStore(3000);
  store.setFilter((l) => l.level === 'error');
  assert.equal(store.append([line(1), line(2, 'error'), line(2, 'error'), line(3)]), 1);
  assert.equal(store.prepend([line(0, 'error'), line(1)]), 1);
  assert.deepEqual(store.all.map((l) => l.time), [0, 1, 2, 3]);
  assert.deepEqual(store.rows.map((l) => l.time), [0, 2]);
  store.append(Array.from({ length: 5000 }, (_, i) => line(10 + i)));
  assert.equal(store.trim(), 2);
  assert.equal(store.all.length, 3000);
  assert.deepEqual([store.rows.length, store.counts.info, store.counts.error, store.has('2'), store.has('5009')], [0, 3000, 0, false, true]);
  store.setFilter(undefined);
  assert.equal(store.rows.length, 3000);
});

test('a document that is replaced is another line; one that is read twice is not', () => {
  const store = new LineStore(10);
  const version = (v: number, eventId?: string): Line => ({ ...line(1), document: { v }, eventId });
  const added = (l: Line): number => store.append([l]);
  assert.deepEqual([added(version(1)), added(version(1)), added(version(1, 'a')), added(version(2, 'b')), added(version(2, 'b')), added(version(2, 'c'))], [1, 0, 0, 1, 0, 1]);
  assert.deepEqual([store.prepend([version(1)]), store.all.length], [0, 3]);
});

test('tops: where rows begin, after any change', () => {
  const heights = Array.from({ length: 5000 }, (_, i) => 20 + (i % 3));
  const tops = new Tops((i) => heights[i] as number);
  tops.update(100, 0);
  tops.update(5000, 100);
  heights[50] = 500;
  tops.update(5000, 50);
  let y = 0;
  for (let i = 0; i < heights.length; i++) {
    assert.equal(tops.top(i), y);
    assert.equal(tops.at(y), i);
    assert.equal(tops.at(y + (heights[i] as number) - 1), i);
    y += heights[i] as number;
  }
  assert.equal(tops.height, y);
  assert.deepEqual([tops.at(-5), tops.at(y + 100)], [0, 4999]);
});
