import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';
import { planDue } from '@understudy/scanner/plan';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { claimChunk, openChunks } from '@understudy/store/scans';
import { type Api, call, readOf, startApi } from './api-rig.ts';
import { differences } from './differences.ts';

const CONNECTION = 'PlaylistVersionConnection';
const QUIET = { script_name: 'quiet', script_key: 'quiet-key' };
const DAY_MS = 86_400_000;

describe('an interval scan', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api?.stop());

  /** Plans what is due and does it. @returns the types that were read. */
  async function scan(wholeIntervalMs: number): Promise<ReadonlySet<string>> {
    const { replica } = api;
    const how = { chunkSize: 10_000, intervalMs: 0, overlapMs: 2_000, wholeIntervalMs };
    assert.deepEqual(await planDue(replica, how), ['interval']);
    const types = new Set<string>();
    for (const { id } of await openChunks(replica.db.pool, 1_000)) {
      const chunk = await claimChunk(replica.db.pool, id, 60_000);
      if (chunk === null) continue;
      types.add(chunk.type);
      await scanChunk(replica, chunk, { pageSize: 100, onPage: async () => {} });
    }
    return types;
  }

  test('reads types that do not say when a row was changed only from time to time, and then all of them', async () => {
    const { results } = (await call(api.siteUrl, 'read', readOf(CONNECTION, ['playlist']))).json as {
      results: { entities: { id: number }[] };
    };
    const [row] = results.entities;
    assert.ok(row !== undefined);
    const fields = [{ field_name: 'sg_sort_order', value: 7 }];
    const update = { type: CONNECTION, id: row.id, fields };
    assert.equal((await call(api.siteUrl, 'update', update, QUIET)).json.exception, undefined);
    const often = await scan(DAY_MS);
    assert.ok(often.has('Playlist') && !often.has(CONNECTION), [...often].join());
    assert.deepEqual(
      (await differences(api.replica, [CONNECTION], 0)).map(({ id }) => id),
      [row.id],
    );
    assert.ok((await scan(0)).has(CONNECTION));
    assert.deepEqual(await differences(api.replica, [CONNECTION], 0), []);
    assert.ok(!(await scan(DAY_MS)).has(CONNECTION), 'it was read a moment ago');
  });

  test('reaches back over the last one that began in the past: a clock may have been wrong for a while', async () => {
    const { pool } = api.replica.db;
    await scan(DAY_MS);
    await pool.query(
      `update understudy.scan set created_at = now() + interval '1 hour' where id = (select max(id) from understudy.scan)`,
    );
    await scan(DAY_MS);
    const { rows } = await pool.query<{ age: number }>(
      'select extract(epoch from now() - since)::int as age from understudy.scan order by id desc limit 1',
    );
    const age = rows[0]?.age ?? Number.NaN;
    assert.ok(age >= 2, `${age} seconds`);
  });

  test('is due by the clock of PostgreSQL', async () => {
    const how = { chunkSize: 10_000, intervalMs: 600_000, overlapMs: 2_000, wholeIntervalMs: DAY_MS };
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 3_600_000 });
    try {
      assert.deepEqual(await planDue(api.replica, how), []);
    } finally {
      mock.timers.reset();
    }
  });
});
