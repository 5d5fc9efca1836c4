import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { EntityRow } from '@understudy/domain/entity';
import { createTestDatabase } from '@understudy/harness/postgres';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { siteSchemaFrom } from '@understudy/schema/site-schema-digest';
import type { ReadRequest, SiteClient } from '@understudy/site-client/site-client';
import { type Database, openDatabase } from '@understudy/store/database';
import { entityTable } from '@understudy/store/entity-tables';
import { mergeChangesOfTypes, type RowChange } from '@understudy/store/merge/changes';
import { mergeFetched } from '@understudy/store/merge/fetched';
import { migrate } from '@understudy/store/migrate';
import { dueRefreshes, requestRefresh } from '@understudy/store/refresh-requests';
import { nextTick } from '@understudy/store/tick';
import { firstGeneration } from './move-generation.ts';
import { refreshEntities } from './refresh-entities.ts';
import { type Replica, readReplica } from './replica.ts';

/** Fetches while the site changes, and while others merge. */
const SCHEMA = parseCachedSchema('types: { Shot: { code: text } }');
const SITE_TIME = new Date('2026-11-05T12:00:00Z');

interface Shot {
  code: string;
  active: boolean;
}
/** What the site has, how many rows it gives in a page, its clock, and what happens after each of its answers. */
const site = {
  shots: new Map<number, Shot>(),
  pageMax: 500,
  time: SITE_TIME,
  afterRead: async (_request: ReadRequest): Promise<void> => {},
};

const client = {
  read: async (request: ReadRequest) => {
    const [leaf] = (request.filters?.conditions ?? []) as unknown as readonly { readonly values: number[] }[];
    const ids = leaf?.values ?? [];
    const wanted = ids.filter(
      (id) => site.shots.get(id)?.active === (request.returnOnly !== 'retired') && site.shots.has(id),
    );
    const rows = wanted.slice(0, Math.min(site.pageMax, request.pageSize ?? 500));
    const results = rows.map((id): EntityRow => ({ type: 'Shot', id, code: site.shots.get(id)?.code ?? '' }));
    const answer = { results, siteTime: site.time, hasNextPage: rows.length < wanted.length };
    await site.afterRead(request);
    return answer;
  },
} as unknown as SiteClient;

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let db: Database;
let replica: Replica;
before(async () => {
  database = await createTestDatabase();
  const databaseOptions = { url: database.url, poolSize: 4, applicationName: 'test' };
  db = await openDatabase(databaseOptions);
  await migrate(db);
  const reading = { schema: siteSchemaFrom({ Shot: { code: ['text'] } }), askedAt: new Date(1_000) };
  const siteUrl = 'http://site.example';
  await firstGeneration({
    ...{ db, databaseOptions, declared: SCHEMA, reading, siteUrl },
    ...{ source: 'test', isAutomatic: false },
  });
  replica = await readReplica(db, client);
});
beforeEach(async () => {
  await db.pool.query('truncate site.shot, understudy.link_target, understudy.refresh_request');
  site.shots = new Map();
  site.pageMax = 500;
  site.time = SITE_TIME;
  site.afterRead = async () => {};
});
after(async () => {
  await db.close();
  await database.drop();
});

const table = () => entityTable(replica.schema.types.get('Shot') ?? assert.fail());

async function fetched(tick: number, rows: readonly { id: number; code: string; active: boolean }[]) {
  const told = rows.map(({ id, code, active }) => ({ row: { type: 'Shot', id, code }, active }));
  await replica.db.transaction((tx) =>
    mergeFetched(tx, table(), { tick, siteTime: new Date(SITE_TIME.getTime() - 60_000), rows: told }),
  );
}

const merge = (changes: readonly RowChange[]) =>
  replica.db.transaction((tx) =>
    mergeChangesOfTypes(tx, [{ table: table(), changes }], { source: 'event', logged: false }),
  );

async function held(): Promise<unknown> {
  const { rows } = await db.pool.query('select id::int, code, _active as active from site.shot order by id');
  return rows;
}

test('a site that gives fewer rows in a page than were asked for does not pass for one that lost the others', async () => {
  const ids = [1, 2, 3, 4, 5];
  for (const id of ids) site.shots.set(id, { code: `s${id}`, active: id !== 4 });
  site.pageMax = 2;
  await fetched(
    await nextTick(db.pool),
    ids.map((id) => ({ id, code: 'old', active: true })),
  );
  await refreshEntities(replica, 'Shot', ids, 'refresh');
  assert.deepEqual(
    await held(),
    ids.map((id) => ({ id, code: `s${id}`, active: id !== 4 })),
  );
});

test('what links to a revived entity is still asked for when somebody else has fetched the entity itself', async () => {
  site.shots.set(1, { code: 'a', active: true });
  await fetched(await nextTick(db.pool), [{ id: 1, code: 'a', active: true }]);
  await requestRefresh(db.pool, [{ type: 'Shot', id: 1, reason: 'revived', linkers: true }]);
  await refreshEntities(replica, 'Shot', [1], 'client', 'write');
  assert.deepEqual(await dueRefreshes(db.pool, 'Shot', 10), [{ id: 1, linkers: true }]);
});

test('an entity that was revived between the two requests of a fetch stays, as the event said', async () => {
  site.shots.set(1, { code: 'a', active: false });
  await fetched(await nextTick(db.pool), [{ id: 1, code: 'a', active: false }]);
  site.afterRead = async ({ returnOnly }) => {
    if (returnOnly !== 'active') return;
    site.shots.set(1, { code: 'a', active: true });
    const tick = await nextTick(db.pool);
    const siteTime = new Date(SITE_TIME.getTime() + 5_000);
    await merge([{ id: 1, tick, siteTime, change: { kind: 'active', value: true } }]);
  };
  await refreshEntities(replica, 'Shot', [1], 'refresh');
  assert.deepEqual(await held(), [{ id: 1, code: 'a', active: true }]);
  assert.deepEqual(await dueRefreshes(db.pool, 'Shot', 10), [{ id: 1, linkers: false }]);
});

test('an event of before a fetch that was polled while it was under way does not outlast what the fetch shows', async () => {
  const second = 1_000;
  await fetched(await nextTick(db.pool), [{ id: 1, code: 'a', active: true }]);
  site.shots.set(1, { code: 'c', active: true });
  site.afterRead = async () => {
    site.afterRead = async () => {};
    // Of a second before the answer; the change to what the answer shows made an event that nobody has polled, or none.
    const siteTime = new Date(SITE_TIME.getTime() - second);
    const change = { kind: 'set', field: 'code', value: 'b' } as const;
    await merge([{ id: 1, tick: await nextTick(db.pool), siteTime, change }]);
  };
  const doubtful = await refreshEntities(replica, 'Shot', [1], 'client', 'write');
  assert.deepEqual(
    doubtful.map(({ id, again }) => [id, again]),
    [[1, true]],
  );
  assert.deepEqual(await dueRefreshes(db.pool, 'Shot', 10), [{ id: 1, linkers: false }]);
  assert.deepEqual(await refreshEntities(replica, 'Shot', [1], 'client', 'write'), []);
  assert.deepEqual(await held(), [{ id: 1, code: 'c', active: true }]);
  assert.deepEqual(await dueRefreshes(db.pool, 'Shot', 10), []);
});

test('an event from before the second request of a fetch does not set back what that one showed', async () => {
  site.shots.set(1, { code: 'a', active: false });
  site.afterRead = async ({ returnOnly }) => {
    if (returnOnly !== 'active') return;
    site.time = new Date(SITE_TIME.getTime() + 10_000);
    site.shots.set(1, { code: 'c', active: false });
  };
  await refreshEntities(replica, 'Shot', [1], 'refresh');
  const siteTime = new Date(SITE_TIME.getTime() + 5_000);
  const change = { kind: 'set', field: 'code', value: 'b' } as const;
  const [merged] = await merge([{ id: 1, tick: await nextTick(db.pool), siteTime, change }]);
  assert.deepEqual(merged?.doubtful, [1]);
  assert.deepEqual(await held(), [{ id: 1, code: 'c', active: false }]);
});
