import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { syncEntityTables } from './sync-entity-tables.ts';

test('links are found by an index, in new tables and in those that were there', async (t) => {
  const database = await createTestDatabase();
  t.after(database.drop);
  const options = { url: database.url, poolSize: 2, applicationName: 'test' };
  const db = await openDatabase(options);
  t.after(() => db.close());
  await migrate(db);
  const sync = (fields: string): Promise<void> =>
    syncEntityTables(db, options, parseCachedSchema(`types: { Task: { ${fields} } }`));
  const indexes = async (): Promise<readonly string[]> => {
    const { rows } = await db.pool.query<{ name: string }>(
      `select indexname as name from pg_indexes where schemaname = 'site' order by 1`,
    );
    return rows.map(({ name }) => name);
  };
  await sync('content: text, entity: { entity: [Shot] }');
  assert.deepEqual(await indexes(), ['task_entity_idx', 'task_pkey']);
  await sync('content: text, entity: { entity: [Shot] }, step: { entity: [Step] }, updated_at: date_time');
  assert.deepEqual(await indexes(), ['task_entity_idx', 'task_pkey', 'task_step_idx', 'task_updated_at_idx']);
});
