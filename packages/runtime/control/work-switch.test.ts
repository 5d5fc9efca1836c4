import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { type Database, openDatabase, type Queryable } from '@understudy/store/database';
import { migrate } from '@understudy/store/migrate';
import { WorkSwitch } from './work-switch.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let db: Database;
before(async () => {
  database = await createTestDatabase();
  db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
  await migrate(db);
});
after(async () => {
  await db?.close();
  await database?.drop();
});

test('a look that began before a pause does not end it', async () => {
  const answered = Promise.withResolvers<void>();
  const mayReturn = Promise.withResolvers<void>();
  let isHeld = true;
  /** The answer to the first query takes its time. */
  const slow = {
    query: async (text: string, values: unknown[]) => {
      const holds = isHeld;
      isHeld = false;
      const result = await db.pool.query(text, values);
      if (!holds) return result;
      answered.resolve();
      await mayReturn.promise;
      return result;
    },
  } as unknown as Queryable;
  const work = new WorkSwitch(slow, 'applier');
  const told: string[] = [];
  await work.govern({
    pause: async () => void told.push('paused'),
    resume: async () => void told.push('resumed'),
  });
  const look = work.look();
  await answered.promise;
  await work.set(true);
  mayReturn.resolve();
  await look;
  assert.equal(work.paused, true);
  assert.deepEqual(told, ['paused']);
  await work.look();
  assert.equal(work.paused, true);
  await work.set(false);
  assert.deepEqual(told, ['paused', 'resumed']);
});
