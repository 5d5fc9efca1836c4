import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { randomFrom } from '@understudy/sandbox-site/random';
import { initWatermark } from '@understudy/store/watermark';
import { type Api, call, startApi } from './api-rig.ts';
import { followLog } from './follow-log.ts';
import { RandomWrites } from './random-writes/random-write.ts';
import { compareWholeSite } from './random-writes/whole-site.ts';

/**
 * Random writes, and after each of them the whole replica against the whole site. RANDOM_WRITES sets how many,
 * RANDOM_WRITES_SEED repeats a run.
 */
const WRITES = Number(process.env['RANDOM_WRITES'] ?? 80);
const SEED = Number(process.env['RANDOM_WRITES_SEED'] ?? Date.now() % 2 ** 31);
/** Of what is compared: the rest is asked of the site while a write's effects are not in yet. */
const OWN_SHARE_MIN = 0.9;

let api: Api;
before(async () => {
  api = await startApi({ scale: 60, cacheAll: true });
  api.sandbox.faults = { ...api.sandbox.faults, thumbnailMs: 0 };
});
after(() => api?.stop());

/** Makes random writes at an address. @returns what was done and what came of it. */
function writer(t: TestContext, url: string, seed: number): () => Promise<string> {
  t.diagnostic(`seed ${SEED}`);
  const writes = new RandomWrites(api.sandbox, randomFrom(seed));
  return async () => {
    const { method, payload } = writes.next();
    const { text } = await call(url, method, payload);
    return `${method} ${JSON.stringify(payload)}\n   → ${text.slice(0, 400)}`;
  };
}

test('after each write through the reader, everything is read as it is at the site', async (t) => {
  const write = writer(t, api.readerUrl, SEED);
  let own = 0;
  let asked = 0;
  for (let made = 0; made < WRITES; made += 1) {
    const done = await write();
    const compared = await compareWholeSite(api);
    assert.deepEqual(compared.differences, [], `after ${done}`);
    own += compared.own;
    asked += compared.asked;
  }
  assert.ok(own >= asked * OWN_SHARE_MIN, `${own} of ${asked} reads were answered by the replica`);
});

test('writes at the site are followed, whatever they are', async (t) => {
  await initWatermark(api.replica.db.pool, api.sandbox.data.lastId('EventLogEntry'));
  const write = writer(t, api.siteUrl, SEED + 1);
  const random = randomFrom(SEED + 2);
  const done: string[] = [];
  for (let made = 1; made <= WRITES; made += 1) {
    done.push(await write());
    if (random() < 0.5 && made < WRITES) continue;
    await followLog(api.replica);
    // What was asked for while another refresh was under way.
    await followLog(api.replica);
    // A write that changes nothing makes no event, but stamps the entity.
    const { differences } = await compareWholeSite(api, (field) => field.startsWith('updated_'));
    assert.deepEqual(differences, [], `after ${done.splice(0).join('\n')}`);
  }
});
