import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { openDatabase } from '../database.ts';
import { type StoredEvent, storeEvents, takeUnapplied } from '../event-log.ts';
import { newestEvents } from '../find-events.ts';
import { migrate } from '../migrate.ts';

test('what waited or was parked in the log is open after the migration, and the rest is applied', async (t) => {
  const database = await createTestDatabase();
  t.after(database.drop);
  const db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
  t.after(() => db.close());
  await db.pool.query('create schema understudy');
  await db.orm.migrator.up({ to: '2026-11-event-log-upkeep' });
  await db.pool.query(
    `insert into understudy.event_log (id, tick, late, created_at, event_type, entry, state, error)
     values (1, 1, false, now(), 'x', '{"id": 1}', 'applied', null), (2, 2, true, now(), 'x', '{"id": 2}', 'stored', null),
       (3, 3, false, now(), 'x', '{"id": 3}', 'parked', 'bad value')`,
  );
  await migrate(db);
  await storeEvents(db.pool, [
    {
      tick: 4,
      late: false,
      entry: {
        id: 4,
        event_type: 'x',
        attribute_name: null,
        entity: null,
        project: null,
        user: null,
        meta: null,
        created_at: '2026-01-01T00:00:00Z',
        description: null,
        session_uuid: null,
      },
    },
  ]);
  const states = async (): Promise<readonly unknown[]> =>
    (await newestEvents(db.pool, { limit: 10 })).map(({ tick, late, state, error }) => [
      tick,
      late,
      state,
      error,
    ]);
  assert.deepEqual(await states(), [
    [1, false, 'applied', null],
    [2, true, 'stored', null],
    [3, false, 'parked', 'bad value'],
    [4, false, 'stored', null],
  ]);
  const taken: StoredEvent[] = [];
  await db.transaction(async (tx) => {
    for await (const events of takeUnapplied(tx, [1, 2, 3, 4])) taken.push(...events);
  });
  assert.deepEqual(
    taken.map((event) => [event.tick, event.late]),
    [
      [2, true],
      [4, false],
    ],
  );
  assert.deepEqual(
    (await newestEvents(db.pool, { limit: 10 })).map(({ state }) => state),
    ['applied', 'applied', 'parked', 'applied'],
  );
  for (const [state, count] of [
    ['applied', 3],
    ['parked', 1],
    ['stored', 0],
  ] as const)
    assert.equal((await newestEvents(db.pool, { state, limit: 10 })).length, count, state);
});
