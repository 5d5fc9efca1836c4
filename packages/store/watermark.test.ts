import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { type Database, openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { advancePolled, initWatermark, readWatermark } from './watermark.ts';

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

test('an event that came late makes the replica no fresher than those that wait for longer', async () => {
  await initWatermark(db.pool, 20);
  await advancePolled(db.pool, 20, new Date());
  await db.pool.query(`insert into understudy.open_event (id, late, stored_at)
    values (10, false, now() - interval '10 minutes'), (20, false, now()), (5, true, now())`);
  const watermark = await readWatermark(db.pool);
  assert.equal(watermark?.appliedThrough, 4);
  assert.ok((watermark?.lagMs ?? 0) >= 600_000, `${watermark?.lagMs} ms`);
});
