import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { firstGeneration } from '@understudy/pipeline/move-generation';
import { readReplica } from '@understudy/pipeline/replica';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { siteSchemaFrom } from '@understudy/schema/site-schema-digest';
import type { SiteClient } from '@understudy/site-client/site-client';
import { type Database, openDatabase } from '@understudy/store/database';
import { serveType } from '@understudy/store/followed-fields';
import { migrate } from '@understudy/store/migrate';
import { createScan } from '@understudy/store/scans';
import { initWatermark } from '@understudy/store/watermark';
import { planDue } from './plan.ts';

/** Nobody is asked in these tests. */
const NO_SITE = {} as SiteClient;
const HOUR = 3_600_000;

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let db: Database;
before(async () => {
  database = await createTestDatabase();
  const databaseOptions = { url: database.url, poolSize: 4, applicationName: 'test' };
  db = await openDatabase(databaseOptions);
  await migrate(db);
  const declared = parseCachedSchema('types: { Shot: { code: text, updated_at: date_time } }');
  const schema = siteSchemaFrom({ Shot: { code: ['text'], updated_at: ['date_time'] } });
  await firstGeneration({
    ...{ db, databaseOptions, declared, siteUrl: 'http://site.example', source: 'test' },
    ...{ reading: { schema, askedAt: new Date(1_000) }, isAutomatic: false },
  });
  await initWatermark(db.pool, 1);
  await serveType(db.pool, 'Shot');
});
after(async () => {
  await db.close();
  await database.drop();
});

test('the first interval scan reaches back to the first full one, whatever was scanned since', async () => {
  const scanned = async (hoursAgo: number, projectIds?: readonly number[]): Promise<void> => {
    const some = projectIds === undefined ? {} : { projectIds };
    const id = await createScan(db.pool, { kind: 'full', reason: 'test', ...some }, []);
    await db.pool.query(
      `update understudy.scan set finished_at = now(), created_at = now() - make_interval(hours => $2) where id = $1`,
      [id, hoursAgo],
    );
  };
  await scanned(5);
  // Of one project, while the other was under way.
  await scanned(1, [7]);
  const options = { chunkSize: 1_000, intervalMs: 60_000, overlapMs: 0, wholeIntervalMs: HOUR };
  assert.deepEqual(await planDue(await readReplica(db, NO_SITE), options), ['interval']);
  const { rows } = await db.pool.query<{ ms: number }>(
    `select (extract(epoch from now() - since) * 1000)::double precision as ms from understudy.scan where kind = 'interval'`,
  );
  assert.ok((rows[0]?.ms ?? 0) >= 5 * HOUR, `${rows[0]?.ms} ms`);
});
