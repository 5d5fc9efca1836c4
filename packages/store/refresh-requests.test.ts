import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { type Database, openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { completeRefresh, dueRefreshes, requestRefresh } from './refresh-requests.ts';
import { nextTick } from './tick.ts';

let db: Database;
let dropDatabase: () => Promise<void>;
before(async () => {
  const database = await createTestDatabase();
  dropDatabase = database.drop;
  db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
  await migrate(db);
});
after(async () => {
  await db?.close();
  await dropDatabase?.();
});

test('what links to an entity stays asked for until it was fetched, whoever fetches the entity itself', async () => {
  const ask = (linkers: boolean): Promise<void> =>
    requestRefresh(db.pool, [{ type: 'Shot', id: 1, reason: 'test', linkers }]);
  const due = (): Promise<unknown> => dueRefreshes(db.pool, 'Shot', 10);
  const complete = async (linkers: { ids: readonly number[]; tick: number } | null): Promise<void> =>
    completeRefresh(db.pool, 'Shot', [1], await nextTick(db.pool), linkers);

  const before = await nextTick(db.pool);
  await ask(true);
  await complete(null);
  // Fetched before it was revived, or for another.
  await complete({ ids: [1], tick: before });
  await complete({ ids: [2], tick: await nextTick(db.pool) });
  // Asked for once more, by who knows nothing of its links.
  await ask(false);
  await complete(null);
  assert.deepEqual(await due(), [{ id: 1, linkers: true }]);
  await complete({ ids: [1], tick: await nextTick(db.pool) });
  assert.deepEqual(await due(), []);
  await ask(false);
  await complete(null);
  assert.deepEqual(await due(), []);
});
