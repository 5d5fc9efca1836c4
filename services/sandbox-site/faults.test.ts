import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '@understudy/harness/until';
import { parseFaults } from './faults.ts';
import { startTestSite } from './test-site.ts';

const site = await startTestSite();
const shot = await site.first('Shot', [], ['description']);
const describe = (description: string): Promise<unknown> => site.update('Shot', shot.id, { description });
const description = async (): Promise<unknown> =>
  (await site.first('Shot', [['id', 'is', shot.id]], ['description'])).description;
const calm = {
  closeBeforeRate: 0,
  closeRate: 0,
  errorRate: 0,
  requestsPerSecond: 0,
  lateRate: 0,
  lostIdRate: 0,
  silentRate: 0,
};

test('a connection closed before the work changes nothing, one closed after it does', async () => {
  await site.admin('/faults', { closeBeforeRate: 1 });
  await assert.rejects(describe('before'));
  await site.admin('/faults', { ...calm, closeRate: 1 });
  await assert.rejects(describe('after'));
  await site.admin('/faults', calm);
  assert.equal(await description(), 'after');
});

test('statuses of failure, too many requests, and an outage', async () => {
  for (const status of [500, 502, 503, 504]) {
    await site.admin('/faults', { errorRate: 1, errorStatus: status });
    await assert.rejects(description(), new RegExp(`HTTP ${status}`));
  }
  await site.admin('/faults', { ...calm, requestsPerSecond: 1 });
  await assert.rejects(Promise.all([description(), description(), description()]), /HTTP 429/);
  await site.admin('/faults', { ...calm, outage: true });
  await assert.rejects(description());
  assert.equal((await fetch(`${site.url}/_sandbox`)).status, 200);
  await site.admin('/faults', { outage: false });
  assert.equal(await description(), 'after');
});

test('latency is added, with jitter', async () => {
  await site.admin('/faults', { latencyMs: 30, jitterMs: 10 });
  const start = performance.now();
  await description();
  assert.ok(performance.now() - start >= 29);
  await site.admin('/faults', { latencyMs: 0, jitterMs: 0 });
});

test('events of a late write appear under lower ids than those that were there before', async () => {
  await site.admin('/faults', { lateRate: 1, lateMs: 60_000 });
  const from = await site.lastEventId();
  await describe('late');
  await site.admin('/faults', { ...calm });
  await describe('in time');
  const seen = await site.events(from);
  assert.equal(seen.length, 1);
  assert.ok((seen[0]?.id ?? 0) > from + 1, 'its id was taken after');
  assert.equal(await description(), 'in time');
  await site.admin('/faults', { lateRate: 1, lateMs: 1 });
  const next = await site.lastEventId();
  await describe('soon');
  await until('the late event is there', async () => (await site.events(next)).length === 1);
  await site.admin('/faults', calm);
});

test('some ids never appear, some writes make no event', async () => {
  await site.admin('/faults', { lostIdRate: 1 });
  const from = await site.lastEventId();
  await describe('lost');
  await describe('lost too');
  const ids = (await site.events(from)).map((event) => event.id);
  assert.equal((ids[1] ?? 0) - (ids[0] ?? 0), 2);
  await site.admin('/faults', { ...calm, silentRate: 1 });
  const last = await site.lastEventId();
  await describe('silent');
  await site.admin('/faults', calm);
  await describe('loud');
  assert.equal((await site.events(last)).length, 1);
});

test('faults can be given as a flag', () => {
  assert.deepEqual(parseFaults('{"errorRate":0.5}'), { errorRate: 0.5 });
  assert.deepEqual(parseFaults(''), {});
  assert.throws(() => parseFaults('{"nope":1}'));
});
