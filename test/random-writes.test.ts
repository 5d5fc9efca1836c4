import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { planFullScan } from '@understudy/pipeline/plan-scan';
import { randomFrom } from '@understudy/sandbox-site/random';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { claimChunk, openChunks } from '@understudy/store/scans';
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

/** Follows the log until everything is read as it is at the site. @throws AssertionError telling what is not, and after what. */
async function settled(done: readonly string[]): Promise<void> {
  let differences: readonly string[] = [];
  const isSame = async (): Promise<boolean> => {
    await followLog(api.replica);
    ({ differences } = await compareWholeSite(api, (field) => field.startsWith('updated_')));
    return differences.length === 0;
  };
  try {
    await until('it is as the site', isSame);
  } catch (error) {
    assert.fail(`${(error as Error).cause ?? ''}${differences.join('\n')}\nafter ${done.join('\n')}`);
  }
}

test('events that come late, in another order or never do no harm', async (t) => {
  const faults = { ...api.sandbox.faults };
  api.sandbox.faults = { ...faults, lateRate: 0.4, lateMs: 60, lostIdRate: 0.3 };
  t.after(() => {
    api.sandbox.faults = faults;
  });
  const write = writer(t, api.siteUrl, SEED + 3);
  const done: string[] = [];
  for (let made = 1; made <= WRITES; made += 1) {
    done.push(await write());
    // In between, so that some come after those that were made later.
    await followLog(api.replica);
    if (made % 10 === 0 || made === WRITES) await settled(done.splice(0));
  }
});

test('scans of what is being written, through the reader and at the site, bring nothing old back', async (t) => {
  const faults = { ...api.sandbox.faults };
  api.sandbox.faults = { ...faults, jitterMs: 4, lateRate: 0.3, lateMs: 60 };
  t.after(() => {
    api.sandbox.faults = faults;
  });
  const writers = [api.siteUrl, api.readerUrl, api.siteUrl].map((url, at) => writer(t, url, SEED + 4 + at));
  const done: string[] = [];
  const { pool } = api.replica.db;
  const rounds = Math.ceil(WRITES / 40);
  for (let round = 0; round < rounds; round += 1) {
    const types = [...api.replica.schema.types.keys()];
    await planFullScan(api.replica, { types, chunkSize: 10, reason: 'test' });
    const chunks = (await openChunks(pool, 10_000)).values();
    let isScanning = true;
    const scan = async (): Promise<void> => {
      for (const { id } of chunks) {
        const chunk = await claimChunk(pool, id, 60_000);
        if (chunk !== null) await scanChunk(api.replica, chunk, { pageSize: 3, onPage: async () => {} });
      }
    };
    const scanned = Promise.all([scan(), scan()]).finally(() => {
      isScanning = false;
    });
    const writing = writers.map(async (write) => {
      while (isScanning) done.push(await write());
    });
    const following = async (): Promise<void> => {
      while (isScanning) await followLog(api.replica);
    };
    await Promise.all([scanned, ...writing, following()]);
    await settled(done.splice(0));
  }
});
