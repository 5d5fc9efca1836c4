import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { firstGeneration } from '@understudy/pipeline/move-generation';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { siteSchemaFrom } from '@understudy/schema/site-schema-digest';
import { type Database, openDatabase } from '@understudy/store/database';
import { migrate } from '@understudy/store/migrate';
import { requestRefresh } from '@understudy/store/refresh-requests';
import { pino } from 'pino';
import { ALL_READERS_KNOW_MS, createReplicaWatch } from './replica-state.ts';

const SITE_URL = 'http://site.example';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let db: Database;
before(async () => {
  database = await createTestDatabase();
  const databaseOptions = { url: database.url, poolSize: 10, applicationName: 'test' };
  db = await openDatabase(databaseOptions);
  await migrate(db);
  const declared = parseCachedSchema('types: { Shot: { code: text } }');
  const reading = { schema: siteSchemaFrom({ Shot: { code: ['text'] } }), askedAt: new Date(1_000) };
  await firstGeneration({
    ...{ db, databaseOptions, declared, reading, siteUrl: SITE_URL, source: 'test', isAutomatic: false },
  });
});
after(async () => {
  await db.close();
  await database.drop();
});

test('a reader whose looks wait for PostgreSQL answers nothing by what it knew before others were told of a write', async () => {
  const stop = new AbortController();
  const watch = createReplicaWatch(db, SITE_URL, 0, pino({ level: 'silent' }));
  const watching = watch.run(stop.signal);
  const client = await db.pool.connect();
  try {
    await until('the replica is seen', async () => watch.current() !== null);
    await client.query('begin; lock table understudy.watermark in access exclusive mode');
    await until('a look waits', async () => {
      const { rows } = await db.pool.query<{ waits: boolean }>(
        `select exists (select from pg_stat_activity where datname = current_database()
           and wait_event_type = 'Lock') as waits`,
      );
      return rows[0]?.waits;
    });
    await requestRefresh(db.pool, [{ type: 'Shot', id: 1, reason: 'written through', written: true }]);
    await delay(ALL_READERS_KNOW_MS);
    const state = watch.current();
    assert.ok(state === null || state.hasUnmergedWrites);
  } finally {
    await client.query('rollback');
    client.release();
    stop.abort();
    await watching;
  }
});
