import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { EntityLink, Json } from '@understudy/domain/entity';
import type { EventLogEntry } from '@understudy/domain/event';
import { createTestDatabase } from '@understudy/harness/postgres';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { siteSchemaFrom } from '@understudy/schema/site-schema-digest';
import type { SiteClient } from '@understudy/site-client/site-client';
import { type Database, openDatabase } from '@understudy/store/database';
import { entityTable } from '@understudy/store/entity-tables';
import { storeEvents } from '@understudy/store/event-log';
import { upsertLinkTargets } from '@understudy/store/link-targets';
import { mergeFetched } from '@understudy/store/merge/fetched';
import { migrate } from '@understudy/store/migrate';
import { nextTick } from '@understudy/store/tick';
import { applyEvents } from './apply-events.ts';
import { firstGeneration } from './move-generation.ts';
import { type Replica, readReplica } from './replica.ts';

/** What those that link to an entity show of it, while events of it come in an order that is not theirs. */
const SCHEMA = parseCachedSchema(`
types:
  Shot: { code: text, sequence: { entity: [Sequence] } }
  Sequence: { code: text }
`);
const SECOND = 1_000;
const AT = Date.parse('2026-11-05T12:00:00Z');

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let db: Database;
let replica: Replica;
before(async () => {
  database = await createTestDatabase();
  const databaseOptions = { url: database.url, poolSize: 4, applicationName: 'test' };
  db = await openDatabase(databaseOptions);
  await migrate(db);
  const site = siteSchemaFrom({
    Shot: { code: ['text'], sequence: ['entity', 'Sequence'] },
    Sequence: { code: ['text'] },
  });
  await firstGeneration({
    ...{ db, databaseOptions, declared: SCHEMA, siteUrl: 'http://site.example' },
    ...{ reading: { schema: site, askedAt: new Date(SECOND) }, source: 'test', isAutomatic: false },
  });
  replica = await readReplica(db, {} as SiteClient);
});
beforeEach(async () => {
  await db.pool.query(`truncate site.shot, site.sequence, understudy.link_target, understudy.refresh_request,
    understudy.event_log, understudy.open_event`);
});
after(async () => {
  await db.close();
  await database.drop();
});

/** An event of the site's log. @param at seconds after a moment. */
function event(
  id: number,
  at: number,
  told: { type: string; action: string; entity: EntityLink; meta?: { readonly [key: string]: Json } },
): EventLogEntry {
  const { type, action, entity, meta = {} } = told;
  const attribute = meta['attribute_name'];
  return {
    ...{ id, event_type: `Shotgun_${type}_${action}`, entity: action === 'Retirement' ? null : entity },
    ...{ attribute_name: typeof attribute === 'string' ? attribute : null, project: null, user: null },
    meta: { entity_type: type, entity_id: entity.id, ...meta },
    created_at: `${new Date(AT + at * SECOND).toISOString().slice(0, 19)}Z`,
    ...{ description: null, session_uuid: null },
  };
}

const sequence = (name: string): EntityLink => ({ type: 'Sequence', id: 7, name });

async function store(entry: EventLogEntry, late = false): Promise<void> {
  await storeEvents(db.pool, [{ entry, tick: await nextTick(db.pool), late }]);
}

/** The site answered a fetch of the sequence at a moment. */
async function fetched(at: number, code: string, active: boolean): Promise<void> {
  const table = entityTable(replica.schema.types.get('Sequence') ?? assert.fail());
  const tick = await nextTick(db.pool);
  const rows = [{ row: { type: 'Sequence', id: 7, code, cached_display_name: code }, active }];
  await replica.db.transaction((tx) =>
    mergeFetched(tx, table, { tick, siteTime: new Date(AT + at * SECOND), rows }),
  );
}

async function shown(type = 'Sequence'): Promise<unknown> {
  const { rows } = await db.pool.query(
    'select name, active from understudy.link_target where entity_type = $1 and entity_id = 7',
    [type],
  );
  return rows[0];
}

async function asked(): Promise<unknown> {
  const { rows } = await db.pool.query(
    'select entity_type as type, entity_id::int as id from understudy.refresh_request order by 1, 2',
  );
  return rows;
}

const retired = (type = 'Sequence') => ({ type, action: 'Retirement', entity: sequence('a') });
const renamed = (name: string) => ({
  ...{ type: 'Sequence', action: 'Change', entity: sequence(name) },
  meta: { type: 'attribute_change', attribute_name: 'code', field_data_type: 'text', new_value: name },
});

test('a retirement and a name that were over when the entity was fetched are not shown by what links to it', async () => {
  await fetched(10, 'a', true);
  await store(event(1, 2, retired()));
  await store(event(2, 3, renamed('for a moment')));
  await applyEvents(replica, [{ id: 1 }, { id: 2 }]);
  assert.deepEqual(await shown(), { name: 'a', active: true });
  assert.deepEqual(await asked(), [{ type: 'Sequence', id: 7 }]);
});

test('an event that was overtaken by a fetch tells those that link to its entity nothing', async () => {
  await fetched(0, 'a', true);
  await store(event(1, 20, retired()));
  await fetched(30, 'a', true);
  await applyEvents(replica, [{ id: 1 }]);
  assert.deepEqual(await shown(), { name: 'a', active: true });
});

test('a retirement that came late does not hide an entity that was revived since', async () => {
  await fetched(0, 'a', true);
  await store(event(2, 21, { type: 'Sequence', action: 'Revival', entity: sequence('a') }));
  await applyEvents(replica, [{ id: 2 }]);
  await store(event(1, 20, retired()), true);
  await applyEvents(replica, [{ id: 1 }]);
  assert.deepEqual(await shown(), { name: 'a', active: true });
  assert.deepEqual(await asked(), [{ type: 'Sequence', id: 7 }]);
});

test('of a type that is not kept, a retirement tells at once, and one that came late has the entity asked for', async () => {
  const link = { type: 'Booking', id: 7, name: 'a', active: true };
  await upsertLinkTargets(db.pool, [{ ...link, tick: await nextTick(db.pool) }]);
  await store(event(1, 20, retired('Booking')), true);
  await applyEvents(replica, [{ id: 1 }]);
  assert.deepEqual(await shown('Booking'), { name: 'a', active: true });
  assert.deepEqual(await asked(), [{ type: 'Booking', id: 7 }]);
  await store(event(2, 21, retired('Booking')));
  await applyEvents(replica, [{ id: 2 }]);
  assert.deepEqual(await shown('Booking'), { name: 'a', active: false });
});

test('an entity that is kept goes by the name of its row, whatever it was called when it was linked', async () => {
  await store(
    event(1, 0, {
      ...{ type: 'Shot', action: 'Change', entity: { type: 'Shot', id: 1, name: 's' } },
      meta: {
        ...{ type: 'attribute_change', attribute_name: 'sequence', field_data_type: 'entity' },
        new_value: { type: 'Sequence', id: 7, name: 'old' },
      },
    }),
  );
  const [{ tick } = { tick: '0' }] = (
    await db.pool.query<{ tick: string }>('select tick from understudy.event_log')
  ).rows;
  // Named anew without an event, and fetched, between the event's making and its storing.
  await fetched(1, 'new', true);
  await db.pool.query('update understudy.event_log set tick = $1', [Number(tick) + 10]);
  await applyEvents(replica, [{ id: 1 }]);
  assert.deepEqual(await shown(), { name: 'new', active: true });
});
