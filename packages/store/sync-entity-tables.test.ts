import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { type Database, openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { syncEntityTables } from './sync-entity-tables.ts';

/** @returns a database, and what lets its tables fit Tasks with some fields. */
async function taskTables(t: TestContext): Promise<{ db: Database; sync(fields: string): Promise<void> }> {
  const database = await createTestDatabase();
  t.after(database.drop);
  const options = { url: database.url, poolSize: 4, applicationName: 'test' };
  const db = await openDatabase(options);
  t.after(() => db.close());
  await migrate(db);
  return {
    db,
    sync: (fields) => syncEntityTables(db, options, parseCachedSchema(`types: { Task: { ${fields} } }`)),
  };
}

test('links and what changed lately are found by an index, in new tables and in those that were there', async (t) => {
  const { db, sync } = await taskTables(t);
  const indexes = async (): Promise<readonly string[]> => {
    const { rows } = await db.pool.query<{ name: string }>(
      `select indexname as name from pg_indexes where schemaname = 'site' order by 1`,
    );
    return rows.map(({ name }) => name);
  };
  await sync('content: text, entity: { entity: [Shot] }, users: { multi_entity: [HumanUser] }');
  const ofLinks = ['task__users_linking_idx', 'task__users_pkey'];
  assert.deepEqual(await indexes(), [...ofLinks, 'task_entity_idx', 'task_pkey']);
  // As an older release made them.
  await db.pool.query(
    'alter table site.task add column updated_at timestamptz; alter table site.task reset (fillfactor)',
  );
  await db.pool.query('create index task_updated_at_idx on site.task (updated_at)');
  await db.pool.query(
    'create index task__users_target_idx on site.task__users (target_id, target_type, entity_id)',
  );
  await db.pool.query(
    'create index task__users_linked_idx on site.task__users (target_id, target_type, entity_id) where not _removed',
  );
  await db.pool.query('drop index site.task__users_linking_idx');
  await sync(
    'content: text, entity: { entity: [Shot] }, users: { multi_entity: [HumanUser] }, step: { entity: [Step] }, updated_at: date_time',
  );
  assert.deepEqual(await indexes(), [
    ...ofLinks,
    'task_entity_idx',
    'task_pkey',
    'task_step_idx',
    'task_updated_at_ranges_idx',
  ]);
  // A row that only changed where no index looks leaves all indexes as they are.
  await db.pool.query(
    `insert into site.task (id, _active, _fetched_tick) select n, true, 1 from generate_series(1, 400) n`,
  );
  await db.pool.query(`update site.task set updated_at = now() where id % 40 = 0`);
  await until('statistics are there', async () => {
    const { rows } = await db.pool.query<{ all: string; hot: string }>(
      `select n_tup_upd as all, n_tup_hot_upd as hot from pg_stat_user_tables where relid = 'site.task'::regclass`,
    );
    return rows[0]?.all === '10' && rows[0].hot === '10';
  });
});

test('a new column waits for a long report with pauses, in which others read on', async (t) => {
  const { db, sync } = await taskTables(t);
  await sync('content: text');
  const report = await db.pool.connect();
  await report.query('begin; select from site.task');
  let isSynced = false;
  const syncing = sync('content: text, frames: number').finally(() => {
    isSynced = true;
  });
  const isWaiting = async (): Promise<boolean> => {
    const { rows } = await db.pool.query<{ waits: boolean }>(
      `select exists (select from pg_locks where relation = 'site.task'::regclass and not granted) as waits`,
    );
    assert(!isSynced, 'the report is under way');
    return rows[0]?.waits === true;
  };
  for (const attempt of ['first', 'second']) {
    await until(`the ${attempt} attempt waits`, isWaiting, { everyMs: 10 });
    let free = 0;
    await until(
      `a pause after the ${attempt} attempt`,
      async () => {
        free = (await isWaiting()) ? 0 : free + 1;
        return free === 5;
      },
      { everyMs: 30 },
    );
  }
  await report.query('commit');
  report.release();
  await syncing;
  await db.pool.query('select frames from site.task');
});
