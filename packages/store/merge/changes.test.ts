import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EntityRow } from '@understudy/domain/entity';
import { createTestDatabase } from '@understudy/harness/postgres';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { readHistory } from '../data-updates.ts';
import { type Database, openDatabase } from '../database.ts';
import { type EntityTable, entityTable } from '../entity-tables.ts';
import { migrate } from '../migrate.ts';
import { syncEntityTables } from '../sync-entity-tables.ts';
import { mergeChangesOfTypes, type RowChange, type TypeChanges } from './changes.ts';
import { mergeFetched } from './fetched.ts';

/** Changes of several types in one batch, whose statements are sent without waiting for those before them. */
const SCHEMA = parseCachedSchema(`
types:
  Asset: { code: text }
  Note: { subject: text, tags: { multi_entity: [Tag] }, updated_at: date_time, updated_by: { entity: [Tag] } }
  Shot: { code: text, tags: { multi_entity: [Tag] } }
  Tag: { name: text }
`);

let db: Database;
let dropDatabase: () => Promise<void>;
before(async () => {
  const database = await createTestDatabase();
  dropDatabase = database.drop;
  const options = { url: database.url, poolSize: 2, applicationName: 'test' };
  db = await openDatabase(options);
  await migrate(db);
  await syncEntityTables(db, options, SCHEMA);
  for (const type of ['Asset', 'Note', 'Shot']) {
    const rows = [1, 2].map((id) => ({
      row: { type, id, code: 'fetched', tags: [] } as unknown as EntityRow,
      active: true,
    }));
    await db.transaction((tx) => mergeFetched(tx, tableOf(type), { tick: 1, siteTime: new Date(0), rows }));
  }
});
after(async () => {
  await db?.close();
  await dropDatabase?.();
});

function tableOf(type: string): EntityTable {
  const cached = SCHEMA.types.get(type);
  assert(cached);
  return entityTable(cached);
}

const set = (id: number, tick: number, value: string): RowChange => ({
  id,
  tick,
  siteTime: new Date(1_000_000),
  change: { kind: 'set', field: 'code', value },
});

async function codes(): Promise<readonly (readonly [string, string])[]> {
  const { rows } = await db.pool.query<{ asset: string; shot: string }>(
    `select a.code as asset, s.code as shot from ${tableOf('Asset').sqlName} a
     join ${tableOf('Shot').sqlName} s on s.id = a.id order by a.id`,
  );
  return rows.map(({ asset, shot }) => [asset, shot]);
}

const merge = (ofTypes: readonly TypeChanges[]): Promise<unknown> =>
  db.transaction((tx) => mergeChangesOfTypes(tx, ofTypes, { source: 'event', logged: true }));

test('what cannot be written of one type leaves all as it was, and says why', async () => {
  const failing = merge([
    { table: tableOf('Asset'), changes: [set(1, 10, 'told')] },
    // PostgreSQL takes no such text.
    { table: tableOf('Shot'), changes: [set(1, 11, 'no\u0000text'), set(2, 12, 'told')] },
  ]);
  await assert.rejects(failing, { code: '22021' });
  assert.deepEqual(await codes(), [
    ['fetched', 'fetched'],
    ['fetched', 'fetched'],
  ]);
});

test('changes of several types are merged, and each type tells what became of it', async () => {
  const tag = { type: 'Tag', id: 5 };
  const linked: RowChange = {
    ...set(2, 23, ''),
    change: { kind: 'links', field: 'tags', added: [tag], removed: [] },
  };
  const merged = await merge([
    { table: tableOf('Asset'), changes: [set(1, 20, 'told'), set(9, 21, 'of none')] },
    { table: tableOf('Shot'), changes: [set(1, 22, 'told'), linked] },
  ]);
  assert.deepEqual(merged, [
    { doubtful: [], missing: [9], targets: [] },
    { doubtful: [], missing: [], targets: [] },
  ]);
  assert.deepEqual(await codes(), [
    ['told', 'told'],
    ['fetched', 'fetched'],
  ]);
  const { rows } = await db.pool.query(
    'select entity_type, field, new from understudy.data_update_field order by seq, part',
  );
  assert.deepEqual(rows, [
    { entity_type: 'Asset', field: 'code', new: 'told' },
    { entity_type: 'Shot', field: 'code', new: 'told' },
    { entity_type: 'Shot', field: 'tags', new: tag },
  ]);
});

test('what one event tells of a row is one entry of the log, and each change is still told by itself, in its order', async () => {
  const eventId = 7;
  const user = { type: 'Tag', id: 3 };
  const told = (tick: number, ...changes: readonly RowChange['change'][]): readonly RowChange[] =>
    changes.map((change) => ({ ...set(1, tick, ''), change, eventId: eventId + tick, user }));
  const [tagA, tagB] = [
    { type: 'Tag', id: 1 },
    { type: 'Tag', id: 2 },
  ];
  const changes = [
    ...told(
      30,
      { kind: 'set', field: 'subject', value: 'a "quoted" one' },
      { kind: 'latest', field: 'updated_at', value: '2026-11-05T12:00:00Z' },
      { kind: 'set', field: 'updated_by', value: tagA },
    ),
    ...told(
      31,
      { kind: 'links', field: 'tags', added: [tagA, tagB], removed: [] },
      { kind: 'active', value: false },
    ),
    ...told(
      32,
      { kind: 'set', field: 'subject', value: null },
      { kind: 'set', field: 'updated_by', value: null },
    ),
  ];
  await merge([{ table: tableOf('Note'), changes }]);
  const { rows } = await db.pool.query<{ n: number }>(
    `select count(*)::int as n from understudy.data_update where entity_type = 'Note'`,
  );
  // Of a list each link is an entry, or a part of one.
  assert.deepEqual(rows, [{ n: 4 }]);
  const note = { type: 'Note', id: 1 };
  const history = await readHistory(db.pool, note, { limit: 100 });
  assert.deepEqual(
    history.map(({ field, old, new: now, tick, eventId: event, user: who, source }) => [
      ...[field, old, now],
      ...[tick, event, who?.id, source],
    ]),
    [
      ['subject', null, 'a "quoted" one', 30, 37, 3, 'event'],
      ['updated_at', null, '2026-11-05T12:00:00Z', 30, 37, 3, 'event'],
      ['updated_by', null, tagA, 30, 37, 3, 'event'],
      ['tags', null, tagA, 31, 38, 3, 'event'],
      ['tags', null, tagB, 31, 38, 3, 'event'],
      ['_active', true, false, 31, 38, 3, 'event'],
      ['subject', 'a "quoted" one', null, 32, 39, 3, 'event'],
      ['updated_by', tagA, null, 32, 39, 3, 'event'],
    ],
  );
  assert.deepEqual(await readHistory(db.pool, note, { limit: 3 }), history.slice(-3));
  assert.deepEqual(
    await readHistory(db.pool, note, { limit: 100, field: 'updated_by' }),
    history.filter(({ field }) => field === 'updated_by'),
  );
});

test('of two moments the later one stays, whichever event is applied first', async () => {
  const at = (tick: number, value: string): RowChange => ({
    ...set(2, tick, ''),
    change: { kind: 'latest', field: 'updated_at', value },
  });
  // The one with the lower id is a second later: ids are taken before a transaction ends.
  const [lower, higher] = [at(40, '2026-11-05T12:00:02Z'), at(41, '2026-11-05T12:00:01Z')];
  await merge([{ table: tableOf('Note'), changes: [higher] }]);
  await merge([{ table: tableOf('Note'), changes: [lower] }]);
  const { rows } = await db.pool.query(
    `select updated_at, (_stamps ->> 'updated_at')::int as stamp from ${tableOf('Note').sqlName} where id = 2`,
  );
  assert.deepEqual(rows, [{ updated_at: new Date('2026-11-05T12:00:02Z'), stamp: 41 }]);
});
