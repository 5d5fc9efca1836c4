import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { randomFrom } from '@understudy/sandbox-site/random';
import { playOne } from '@understudy/sandbox-site/traffic/play';
import { planDue } from '@understudy/scanner/plan';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { claimChunk, openChunks } from '@understudy/store/scans';
import { type Api, startApi } from './api-rig.ts';
import { differences } from './differences.ts';
import { followLog } from './follow-log.ts';

/**
 * An hour of a busy studio in a minute, a part of it by a script whose writes make no events: the interval scan that
 * begins after the last write leaves no difference. SILENT_WRITES sets how many writes, SILENT_SEED repeats a run.
 */
const WRITES = Number(process.env['SILENT_WRITES'] ?? 1_200);
const SEED = Number(process.env['SILENT_SEED'] ?? 11);
const SILENT_SHARE = 0.25;
const WRITES_A_POLL = 100;
const POLLS_A_SCAN = 4;

describe('silent writes', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api?.stop());

  /** What is due, as scanners and appliers do it. */
  async function scan(): Promise<void> {
    const replica = await api.replica.renew();
    const planned = await planDue(replica, {
      chunkSize: 10_000,
      intervalMs: 0,
      overlapMs: 2_000,
      wholeIntervalMs: 0,
    });
    assert.deepEqual(planned, ['interval']);
    for (const { id } of await openChunks(replica.db.pool, 1_000)) {
      const chunk = await claimChunk(replica.db.pool, id, 60_000);
      if (chunk !== null) await scanChunk(replica, chunk, { pageSize: 100, onPage: async () => {} });
    }
    await followLog(replica);
  }

  test(`${WRITES} writes, a quarter of them silent, seed ${SEED}`, async () => {
    const { sandbox } = api;
    const random = randomFrom(SEED);
    const quiet = [...sandbox.data.rows('ApiUser').range(1, 1_000)].find(
      (script) => script.stored('generate_event_log_entries') === false,
    );
    assert.ok(quiet !== undefined);
    for (let done = 1; done <= WRITES; done += 1) {
      if (random() < SILENT_SHARE) playOne(sandbox, random, quiet);
      else playOne(sandbox, random);
      if (done % WRITES_A_POLL === 0) await followLog(api.replica);
      if (done % (WRITES_A_POLL * POLLS_A_SCAN) === 0 && done < WRITES) await scan();
    }
    await followLog(api.replica);
    await scan();
    const replica = await api.replica.renew();
    const found = await differences(replica, replica.schema.types.keys(), 0);
    assert.deepEqual(found.slice(0, 5), [], `${found.length} differences`);
  });
});
