import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EVENT_LOG_ENTRY_FIELDS, type EventLogEntry } from '@understudy/domain/event';
import { until } from '@understudy/harness/until';
import { applyEvents, replayEvents } from '@understudy/pipeline/apply-events';
import { planEventReprocess, planRetirementReprocess } from '@understudy/pipeline/reprocess/plan-reprocess';
import { processReprocessChunk } from '@understudy/pipeline/reprocess/process-chunk';
import { readHistory } from '@understudy/store/data-updates';
import { entityTable } from '@understudy/store/entity-tables';
import { storeEvents } from '@understudy/store/event-log';
import {
  claimReprocessChunk,
  openReprocessChunks,
  type ReprocessProgress,
  readReprocesses,
} from '@understudy/store/reprocess';
import { nextTicks } from '@understudy/store/tick';
import { type Api, call, startApi } from './api-rig.ts';
import { differences } from './differences.ts';

/** Retirements and revivals that no event told of are found and repaired, and replaying the log changes nothing. */
describe('reprocessing', () => {
  let api: Api;
  before(async () => {
    api = await startApi({ scale: 2_500 });
  });
  after(() => api?.stop());

  const write = async (method: string, payload: object): Promise<void> => {
    const reply = await call(api.siteUrl, method, payload);
    assert.equal(reply.status, 200);
  };
  const run = async (id: number): Promise<ReprocessProgress> => {
    const { pool } = api.replica.db;
    for (const open of await openReprocessChunks(pool, 10_000)) {
      const chunk = await claimReprocessChunk(pool, open.id, 60_000);
      assert(chunk);
      await processReprocessChunk(api.replica, chunk, { onPage: async () => {}, onTypes: async () => {} });
    }
    const [progress] = await readReprocesses(pool, { id });
    assert(progress?.finishedAt);
    return progress;
  };
  const activeIds = async (type: string, limit: number): Promise<readonly number[]> => {
    const cached = api.replica.schema.types.get(type);
    assert(cached);
    const { rows } = await api.replica.db.pool.query<{ id: string }>(
      `select id from ${entityTable(cached).sqlName} where _active order by id limit $1`,
      [limit],
    );
    return rows.map((row) => Number(row.id));
  };

  test('1,000 withheld retirements and revivals are all repaired, also after a run was broken off', async () => {
    const types = ['Task', 'Version', 'Shot'];
    api.sandbox.faults = { ...api.sandbox.faults, silentRate: 1 };
    const retired: { readonly type: string; readonly id: number }[] = [];
    for (const type of types)
      for (const id of await activeIds(type, 1_000)) if (retired.length < 700) retired.push({ type, id });
    for (const ref of retired) await write('delete', ref);
    const plan = (): Promise<number> =>
      planRetirementReprocess(api.replica, { types, chunkSize: 500, reason: 'test' });
    const first = await run(await plan());
    assert(first.repaired >= retired.length, `${first.repaired} of ${retired.length} were found`);
    assert.deepEqual(await differences(api.replica, types, 200), []);
    const [one] = retired;
    assert(one);
    const changes = await readHistory(api.replica.db.pool, one, { field: '_active', limit: 10 });
    assert.deepEqual(
      changes.map(({ old, new: now, source }) => [old, now, source]),
      [[true, false, 'reprocess']],
    );

    const revived = retired.slice(0, 300);
    for (const ref of revived) await write('revive', ref);
    const id = await plan();
    const [broken] = await openReprocessChunks(api.replica.db.pool, 1);
    assert(broken);
    // A worker takes a chunk and is gone: its claim runs out, and another one does it.
    await claimReprocessChunk(api.replica.db.pool, broken.id, 1);
    await until('the claim has run out', async () =>
      (await openReprocessChunks(api.replica.db.pool, 10_000)).some((chunk) => chunk.id === broken.id),
    );
    const second = await run(id);
    assert.equal(second.repaired, revived.length);
    assert.deepEqual(await differences(api.replica, types, 200), []);
    assert.equal((await run(await plan())).repaired, 0, 'nothing is left');
    api.sandbox.faults = { ...api.sandbox.faults, silentRate: 0 };
  });

  test('replaying the whole log twice changes nothing', async () => {
    const { db, site, schema } = api.replica;
    const shots = await activeIds('Shot', 20);
    const since = await highestEvent();
    for (const [at, id] of shots.entries()) {
      await write('update', {
        type: 'Shot',
        id,
        fields: [{ field_name: 'description', value: `first ${at}` }],
      });
      await write('update', {
        type: 'Shot',
        id,
        fields: [{ field_name: 'description', value: `then ${at}` }],
      });
      if (at % 3 === 0) await write('delete', { type: 'Shot', id });
      if (at % 6 === 0) await write('revive', { type: 'Shot', id });
    }
    const entries: EventLogEntry[] = [];
    const pages = site.readAllById(
      { type: 'EventLogEntry', fields: EVENT_LOG_ENTRY_FIELDS, fromId: since + 1 },
      { priority: 'poll' },
    );
    for await (const page of pages) entries.push(...(page.results as unknown as EventLogEntry[]));
    const ticks = await nextTicks(db.pool, entries.length);
    await storeEvents(
      db.pool,
      entries.map((entry, at) => ({ entry, tick: ticks[at] ?? 0, late: false })),
    );
    await applyEvents(api.replica, entries);
    const everything = async (): Promise<ReadonlyMap<string, readonly string[]>> => {
      const states = new Map<string, readonly string[]>();
      const take = async (name: string, sql: string): Promise<void> => {
        const { rows } = await db.pool.query<{ row: string }>(
          `select to_jsonb(t)::text as row from ${sql} t`,
        );
        states.set(name, rows.map(({ row }) => row).sort());
      };
      for (const cached of schema.types.values()) {
        const table = entityTable(cached);
        await take(cached.name, table.sqlName);
        for (const storage of table.fields.values())
          if (storage.kind === 'links') await take(storage.table, storage.table);
      }
      await take('link targets', 'understudy.link_target');
      await take('updates', 'understudy.data_update');
      return states;
    };
    /** Rows of `now` that were not there before: what a replay must not make. */
    const news = (now: ReadonlyMap<string, readonly string[]>): readonly string[] =>
      [...now].flatMap(([name, rows]) => {
        const known = new Set(applied.get(name));
        const fresh = rows.filter((row) => !known.has(row)).map((row) => `${name}: ${row}`);
        return rows.length === known.size
          ? fresh
          : [`${name}: ${known.size} rows, now ${rows.length}`, ...fresh];
      });
    const applied = await everything();
    const [first, last] = [entries[0]?.id ?? 0, entries.at(-1)?.id ?? 0];
    await replayEvents(api.replica, first, last);
    const done = await run(
      await planEventReprocess(api.replica, { fromId: first, toId: last, reason: 'test' }),
    );
    assert.equal(done.checked, entries.length);
    assert.deepEqual(news(await everything()), []);
  });

  async function highestEvent(): Promise<number> {
    const { results } = await api.replica.site.read(
      {
        type: 'EventLogEntry',
        fields: ['id'],
        sorts: [{ field_name: 'id', direction: 'desc' }],
        pageSize: 1,
      },
      { priority: 'poll' },
    );
    return results[0]?.id ?? 0;
  }
});
