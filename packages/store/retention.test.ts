import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { keepUpdateLog, prepareUpdateLog, readHistory, readUpdateLogSpan } from './data-updates.ts';
import { type Database, openDatabase } from './database.ts';
import { heldFrom } from './event-log.ts';
import { newestEvents } from './find-events.ts';
import { migrate } from './migrate.ts';
import { forgetEvents, forgetScans } from './retention.ts';
import { initWatermark } from './watermark.ts';

const DAY_MS = 86_400_000;
const database = await createTestDatabase();
let db: Database;
before(async () => {
  db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
  await migrate(db);
});
after(async () => {
  await db.close();
  await database.drop();
});

test('old events that were applied are forgotten, batch by batch; what waits or is parked stays', async () => {
  await initWatermark(db.pool, 10);
  await db.pool.query(
    `insert into understudy.event_log (id, tick, late, created_at, event_type, entry)
     select n, n, false, now() - make_interval(days => 10 - n), 'x', '{}' from generate_series(1, 10) n`,
  );
  await db.pool.query(`update understudy.open_event set error = 'bad value' where id = 2`);
  await db.pool.query('delete from understudy.open_event where id not in (2, 3)');
  const left = async (): Promise<readonly number[]> =>
    (await db.pool.query<{ id: string }>('select id from understudy.event_log order by id')).rows.map((row) =>
      Number(row.id),
    );
  assert.equal(await forgetEvents(db.pool, 4.5 * DAY_MS, 2), 2);
  assert.deepEqual(await left(), [2, 3, 5, 6, 7, 8, 9, 10]);
  assert.equal(await forgetEvents(db.pool, 4.5 * DAY_MS, 2), 1);
  assert.equal(await forgetEvents(db.pool, 4.5 * DAY_MS, 2), 0);
  assert.deepEqual(await left(), [2, 3, 6, 7, 8, 9, 10]);
  assert.equal(await heldFrom(db.pool), 6, 'what is parked below it is no part of an unbroken log');
});

test('what the log says of one entity is found by an index, also of one that is retired', async () => {
  const event = (id: number, entry: object): readonly unknown[] => [id, JSON.stringify(entry)];
  for (const [id, entry] of [
    event(101, { entity: { type: 'Shot', id: 7, name: 'x' }, meta: { entity_type: 'Shot', entity_id: 7 } }),
    event(102, { entity: null, meta: { entity_type: 'Shot', entity_id: 7 } }),
    event(103, {
      entity: null,
      meta: { entity_type: 'Shot', entity_id: 7, actual_attribute_changed: 'Task.entity' },
    }),
    event(104, {
      entity: { type: 'Shot', id: 7 },
      meta: { entity_type: 'Task', entity_id: 9, actual_attribute_changed: 'Task.entity' },
    }),
    event(105, { entity: { type: 'Task', id: 7 }, meta: null }),
  ])
    await db.pool.query(
      `insert into understudy.event_log (id, tick, late, created_at, event_type, entry)
       values ($1, $1, false, now(), 'x', $2)`,
      [id, entry],
    );
  const found = await newestEvents(db.pool, { entity: { type: 'Shot', id: 7 }, limit: 10 });
  assert.deepEqual(
    found.map((event) => event.tick),
    [101, 102, 104],
  );
  await db.pool.query(
    `insert into understudy.event_log (id, tick, late, created_at, event_type, entry)
     select 1000 + n, n, false, now(), 'x', jsonb_build_object('entity', jsonb_build_object('type', 'Shot', 'id', n))
     from generate_series(1, 20000) n`,
  );
  await db.pool.query('analyze understudy.event_log');
  const { rows } = await db.pool.query<Record<'QUERY PLAN', string>>(
    `explain select id from understudy.event_log
     where coalesce(entry #>> '{entity,type}', entry #>> '{meta,entity_type}') = 'Shot'
       and coalesce(entry #>> '{entity,id}', entry #>> '{meta,entity_id}') = '77' order by id desc limit 10`,
  );
  assert.match(rows.map((row) => row['QUERY PLAN']).join('\n'), /event_log_entity/);
});

test('old scans are forgotten with their chunks, but the last of each kind and those under way', async () => {
  await db.pool.query(
    `insert into understudy.scan (kind, reason, created_at, finished_at)
     select kind, 'test', at, case when isopen then null else at end from (values
       ('full', now() - interval '20 days', false), ('interval', now() - interval '10 days', false),
       ('interval', now() - interval '9 days', true), ('interval', now() - interval '8 days', false),
       ('interval', now(), false)) as s(kind, at, isopen)`,
  );
  await db.pool.query(
    `insert into understudy.scan_chunk (scan_id, entity_type, from_id, to_id) select id, 'Shot', 1, 9 from understudy.scan`,
  );
  assert.equal(await forgetScans(db.pool, 7 * DAY_MS, 100), 2);
  const { rows } = await db.pool.query(
    'select kind, finished_at is null as open from understudy.scan order by id',
  );
  assert.deepEqual(rows, [
    { kind: 'full', open: false },
    { kind: 'interval', open: true },
    { kind: 'interval', open: false },
  ]);
  assert.equal((await db.pool.query('select from understudy.scan_chunk')).rowCount, 3);
});

test('the data-update log is forgotten a week at a time, and says from when on it tells of everything', async () => {
  await prepareUpdateLog(db);
  const now = new Date();
  const add = (id: number, at: Date): Promise<unknown> =>
    db.pool.query(
      `insert into understudy.data_update (at, tick, entity_type, entity_id, field, old, new, source)
       values ($2, $1::bigint + 100, 'Shot', $1::bigint, 'code', null, '"x"', 'event')`,
      [id, at],
    );
  await add(1, now);
  // Far ahead: there is no partition yet, and what comes is kept all the same.
  const later = new Date(now.getTime() + 100 * DAY_MS);
  await add(2, later);
  const known = async (id: number): Promise<number> =>
    (await readHistory(db.pool, { type: 'Shot', id }, { limit: 10 })).length;
  assert.equal(await keepUpdateLog(db, 30, now), 0);
  assert.deepEqual([await known(1), await known(2)], [1, 1]);
  mock.timers.enable({ apis: ['Date'], now: later });
  try {
    assert.equal(await keepUpdateLog(db, 30), 0, 'the clock of this process does not count');
  } finally {
    mock.timers.reset();
  }
  const before = await readUpdateLogSpan(db.pool);
  assert.ok((await keepUpdateLog(db, 30, later)) > 0, 'weeks are dropped');
  assert.deepEqual([await known(1), await known(2)], [0, 1]);
  const after = await readUpdateLogSpan(db.pool);
  assert.ok(before !== null && after !== null && after.since > before.since);
  assert.ok(after.since.getTime() <= later.getTime() - 30 * DAY_MS, 'no younger week is lost');
  assert.equal(after.sinceTick, Math.max(before.sinceTick, 101));
  const { rows } = await db.pool.query('select from understudy.data_update_other');
  assert.equal(rows.length, 0, 'it was moved to its week');
  assert.equal(await keepUpdateLog(db, 30, later), 0);
});
