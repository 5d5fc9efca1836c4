import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { EntityRow } from '@understudy/domain/entity';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { type Database, openDatabase, type Queryable } from '../database.ts';
import { type EntityTable, entityTable } from '../entity-tables.ts';
import { migrate } from '../migrate.ts';
import { syncEntityTables } from '../sync-entity-tables.ts';
import { mergeFetched } from './fetched.ts';
import { removeVanished } from './vanished.ts';

/** Two merges of the same new rows, or of rows that link to the same new entity, at the same time. */
const SCHEMA = parseCachedSchema(`
types:
  Shot:
    code: text
    sequence: { entity: [Sequence] }
    tags: { multi_entity: [Tag] }
  Sequence: { code: text }
  Tag: { name: text }
`);

let db: Database;
let dropDatabase: () => Promise<void>;
let table: EntityTable;
before(async () => {
  const database = await createTestDatabase();
  dropDatabase = database.drop;
  const options = { url: database.url, poolSize: 4, applicationName: 'test' };
  db = await openDatabase(options);
  await migrate(db);
  await syncEntityTables(db, options, SCHEMA);
  const shot = SCHEMA.types.get('Shot');
  assert(shot);
  table = entityTable(shot);
});
beforeEach(async () => {
  await db.pool.query(
    'truncate site."shot", site."shot__tags", understudy.link_target, understudy.data_update, understudy.refresh_request',
  );
});
after(async () => {
  await db?.close();
  await dropDatabase?.();
});

const shotOf = (id: number, code: string, sequence: string): EntityRow => ({
  type: 'Shot',
  id,
  code,
  sequence: { type: 'Sequence', id: 7, name: sequence },
  tags: [{ type: 'Tag', id: 8, name: 'tag' }],
});

function merge(tx: Queryable, tick: number, rows: readonly EntityRow[], logged: boolean): Promise<unknown> {
  return mergeFetched(tx, table, {
    tick,
    siteTime: new Date(tick * 1_000),
    rows: rows.map((row) => ({ row, active: true })),
    origin: { source: 'scan', logged },
  });
}

/** Merges once while another merge has written and not committed. @returns how often the one that waits was begun. */
async function mergeBoth(
  first: (tx: Queryable) => Promise<unknown>,
  second: (tx: Queryable) => Promise<unknown>,
): Promise<number> {
  let begun = 0;
  const client = await db.pool.connect();
  try {
    await client.query('begin');
    await first(client);
    const waiting = db.transaction(async (tx) => {
      begun += 1;
      await second(tx);
    });
    await Promise.race([
      waiting,
      until('the second merge waits for the first one', async () => {
        const { rows } = await db.pool.query<{ waits: boolean }>(
          `select exists (select from pg_stat_activity where datname = current_database()
             and wait_event_type = 'Lock') as waits`,
        );
        return rows[0]?.waits;
      }),
    ]);
    await client.query('commit');
    await waiting;
    return begun;
  } finally {
    client.release();
  }
}

const shots = async (): Promise<unknown> =>
  (await db.pool.query('select id::int, code, _fetched_tick::int as tick from site."shot" order by id')).rows;
const names = async (type: string): Promise<unknown> =>
  (
    await db.pool.query(
      'select entity_id::int as id, name from understudy.link_target where entity_type = $1 order by 1',
      [type],
    )
  ).rows;

for (const logged of [false, true]) {
  const how = logged ? ', logged' : '';

  test(`of two first fetches of a row at the same time the later one counts, whichever is first${how}`, async () => {
    for (const [id, earlier, later] of [
      [1, 5, 6],
      [2, 6, 5],
    ] as const) {
      const [a, b] = [shotOf(id, `by ${earlier}`, 'seq'), shotOf(id, `by ${later}`, 'seq')];
      await mergeBoth(
        (tx) => merge(tx, earlier, [a], logged),
        (tx) => merge(tx, later, [b], logged),
      );
    }
    assert.deepEqual(await shots(), [
      { id: 1, code: 'by 6', tick: 6 },
      { id: 2, code: 'by 6', tick: 6 },
    ]);
    const { rows } = await db.pool.query(
      'select entity_id::int as id, field, old, new from understudy.data_update_field order by seq',
    );
    assert.deepEqual(
      rows,
      logged
        ? [
            { id: 1, field: '_row', old: null, new: true },
            { id: 1, field: 'code', old: 'by 5', new: 'by 6' },
            { id: 2, field: '_row', old: null, new: true },
          ]
        : [],
    );
    const { rows: links } = await db.pool.query(
      'select entity_id::int as id, target_id::int as tag from site."shot__tags" order by 1',
    );
    assert.deepEqual(links, [
      { id: 1, tag: 8 },
      { id: 2, tag: 8 },
    ]);
  });

  test(`of two that name something new at the same time the later one counts, and neither is done again${how}`, async () => {
    const begun = await mergeBoth(
      (tx) => merge(tx, 5, [shotOf(1, 'a', 'old name')], logged),
      (tx) => merge(tx, 6, [shotOf(2, 'b', 'new name')], logged),
    );
    assert.equal(begun, 1);
    assert.deepEqual(await names('Sequence'), [{ id: 7, name: 'new name' }]);
    assert.deepEqual(await names('Tag'), [{ id: 8, name: 'tag' }]);
    assert.equal(
      await mergeBoth(
        (tx) =>
          merge(tx, 8, [{ ...shotOf(3, 'c', 'x'), tags: [{ type: 'Tag', id: 9, name: 'newest' }] }], logged),
        (tx) =>
          merge(tx, 7, [{ ...shotOf(4, 'd', 'x'), tags: [{ type: 'Tag', id: 9, name: 'older' }] }], logged),
      ),
      1,
    );
    assert.deepEqual(await names('Tag'), [
      { id: 8, name: 'tag' },
      { id: 9, name: 'newest' },
    ]);
    assert.deepEqual(await shots(), [
      { id: 1, code: 'a', tick: 5 },
      { id: 2, code: 'b', tick: 6 },
      { id: 3, code: 'c', tick: 8 },
      { id: 4, code: 'd', tick: 7 },
    ]);
  });
}

test('a name that is known by another one is replaced where most are new', async () => {
  await db.transaction((tx) => merge(tx, 5, [shotOf(1, 'a', 'old name')], true));
  await db.transaction((tx) => merge(tx, 6, [shotOf(2, 'b', 'new name')], true));
  assert.deepEqual(await names('Sequence'), [{ id: 7, name: 'new name' }]);
  await db.transaction((tx) => merge(tx, 4, [shotOf(3, 'c', 'told too late')], true));
  assert.deepEqual(await names('Sequence'), [{ id: 7, name: 'new name' }]);
});

test('of a row that a later fetch has told of, an older one says neither its name nor that it is retired', async () => {
  const row = { ...shotOf(1, 'a', 'seq'), cached_display_name: 'new' };
  const told = (tick: number, active: boolean, name: string): Promise<unknown> =>
    db.transaction((tx) =>
      mergeFetched(tx, table, {
        tick,
        siteTime: new Date(tick * 1_000),
        rows: [{ row: { ...row, cached_display_name: name }, active }],
      }),
    );
  await told(5, true, 'new');
  // Of what is known already nothing is written.
  await told(9, true, 'new');
  await told(7, false, 'old');
  const { rows } = await db.pool.query(
    `select name, active from understudy.link_target where entity_type = 'Shot' and entity_id = 1`,
  );
  assert.deepEqual(rows, [{ name: 'new', active: true }]);
});

test('what is logged of a removed row holds the links that somebody made just before', async () => {
  const shot = { ...shotOf(1, 'a', 'sequence'), tags: [] };
  await db.transaction((tx) => merge(tx, 5, [shot], true));
  const tag = { type: 'Tag', id: 8, name: 'tag' };
  await mergeBoth(
    (tx) => merge(tx, 6, [{ ...shot, tags: [tag] }], true),
    (tx) => removeVanished(tx, table, [1], 20, { source: 'scan', logged: true }),
  );
  const { rows } = await db.pool.query<{ old: { tags: unknown } }>(
    `select old from understudy.data_update_field where field = '_row' and new is null`,
  );
  assert.deepEqual(
    rows.map(({ old }) => old.tags),
    [[{ type: 'Tag', id: 8 }]],
  );
});

test('a row that the site no longer has is not brought back by an answer from before, but asked for', async () => {
  const shot = shotOf(1, 'a', 'sequence');
  await db.transaction((tx) => merge(tx, 5, [shot], true));
  await db.transaction((tx) => removeVanished(tx, table, [1], 20));
  await db.transaction((tx) => merge(tx, 10, [shot, shotOf(2, 'b', 'sequence')], true));
  const { rows } = await db.pool.query('select id::int from site."shot"');
  assert.deepEqual(rows, [{ id: 2 }]);
  const { rows: asked } = await db.pool.query('select entity_id::int as id from understudy.refresh_request');
  assert.deepEqual(asked, [{ id: 1 }]);
  await db.transaction((tx) => merge(tx, 30, [shot], true));
  const { rows: shown } = await db.pool.query('select id::int from site."shot" order by id');
  assert.deepEqual(shown, [{ id: 1 }, { id: 2 }]);
});

test('a row that was found gone twice is not brought back by an answer from between', async () => {
  const shot = shotOf(1, 'a', 'sequence');
  await db.transaction((tx) => merge(tx, 5, [shot], true));
  await db.transaction((tx) => removeVanished(tx, table, [1], 20));
  assert.deepEqual(await db.transaction((tx) => removeVanished(tx, table, [1], 40)), []);
  await db.transaction((tx) => merge(tx, 30, [shot], true));
  assert.deepEqual(await shots(), []);
  const { rows: asked } = await db.pool.query('select entity_id::int as id from understudy.refresh_request');
  assert.deepEqual(asked, [{ id: 1 }]);
});

test('what finds a row gone while an older answer makes it asks for it again', async () => {
  const shot = shotOf(1, 'a', 'sequence');
  await db.transaction((tx) => merge(tx, 5, [shot], true));
  await db.transaction((tx) => removeVanished(tx, table, [1], 20));
  // Where another row that it makes is in somebody's hands, a merge stands still after it has looked what is gone.
  const blocking = await db.pool.connect();
  await blocking.query('begin');
  await blocking.query('insert into site.shot (id, _active, _fetched_tick) values (9, true, 0)');
  const waits = (count: number): Promise<unknown> =>
    until(`${count} wait`, async () => {
      const { rows } = await db.pool.query<{ count: number }>(
        `select count(*)::int as count from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows[0]?.count === count;
    });
  const merging = db.transaction((tx) => merge(tx, 30, [shot, shotOf(9, 'b', 'sequence')], true));
  await waits(1);
  const removing = db.transaction((tx) => removeVanished(tx, table, [1], 40));
  await Promise.race([removing, waits(2)]);
  await blocking.query('rollback');
  blocking.release();
  await merging;
  assert.deepEqual(await removing, [1]);
  assert.deepEqual(await shots(), [
    { id: 1, code: 'a', tick: 30 },
    { id: 9, code: 'b', tick: 30 },
  ]);
});
