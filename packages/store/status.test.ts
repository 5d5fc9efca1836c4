import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { type Database, openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { readStatus } from './status.ts';

const database = await createTestDatabase();
let db: Database;
before(async () => {
  db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
  await migrate(db);
});
after(async () => {
  await db.close();
  await database.drop();
});

const storeEvents = (from: number, to: number): Promise<unknown> =>
  db.pool.query(
    `insert into understudy.event_log (id, tick, late, created_at, event_type, entry)
     select n, n, false, now(), 'x', '{}' from generate_series($1::int, $2::int) n`,
    [from, to],
  );

test('stored events are counted before and after PostgreSQL has looked at them', async () => {
  assert.equal((await readStatus(db.pool)).events.stored, 0);
  await storeEvents(1, 30);
  assert.deepEqual((await readStatus(db.pool)).events, { waiting: 30, parked: 0, stored: 30 });
  await db.pool.query('analyze understudy.event_log');
  await storeEvents(31, 50);
  assert.equal((await readStatus(db.pool)).events.stored, 50);
});
