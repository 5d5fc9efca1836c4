import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { firstGeneration } from '@understudy/pipeline/move-generation';
import { readReplica } from '@understudy/pipeline/replica';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { siteSchemaFrom } from '@understudy/schema/site-schema-digest';
import type { ReadRequest, SiteClient } from '@understudy/site-client/site-client';
import { type Database, openDatabase } from '@understudy/store/database';
import { followedFields, serveScanned } from '@understudy/store/followed-fields';
import { migrate } from '@understudy/store/migrate';
import { createScan, finishChunk, openChunks } from '@understudy/store/scans';
import { initWatermark } from '@understudy/store/watermark';
import { ensureCheckpoint } from './checkpoint.ts';

const LAST_SEEN = 5;
/** A site whose log begins after what was seen of it. */
const client = {
  read: async ({ filters }: ReadRequest) => ({
    results: filters === undefined ? [{ type: 'EventLogEntry', id: 500 }] : [],
    siteTime: new Date(0),
    hasNextPage: false,
  }),
} as unknown as SiteClient;

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let db: Database;
before(async () => {
  database = await createTestDatabase();
  const databaseOptions = { url: database.url, poolSize: 4, applicationName: 'test' };
  db = await openDatabase(databaseOptions);
  await migrate(db);
  const declared = parseCachedSchema('types: { Shot: { code: text } }');
  const reading = { schema: siteSchemaFrom({ Shot: { code: ['text'] } }), askedAt: new Date(1_000) };
  await firstGeneration({
    ...{ db, databaseOptions, declared, reading, siteUrl: 'http://site.example' },
    ...{ source: 'test', isAutomatic: false },
  });
});
after(async () => {
  await db.close();
  await database.drop();
});

test('a scan that ends just when the log is found to be lost lets nothing be served', async () => {
  await initWatermark(db.pool, LAST_SEEN);
  const scan = await createScan(db.pool, { kind: 'full', reason: 'test' }, [
    { type: 'Shot', fromId: 1, toId: 10 },
  ]);
  const [chunk] = await openChunks(db.pool, 1);
  assert.ok(chunk);
  const scanner = await db.pool.connect();
  try {
    await scanner.query('begin');
    await finishChunk(scanner, chunk, 0);
    assert.ok((await serveScanned(scanner, scan, 'Shot')) > 0);
    const checking = ensureCheckpoint(await readReplica(db, client));
    await until('one waits for the other', async () => {
      const { rows } = await db.pool.query<{ waits: boolean }>(
        `select exists (select from pg_stat_activity where datname = current_database()
           and wait_event_type = 'Lock') as waits`,
      );
      return rows[0]?.waits;
    });
    await scanner.query('commit');
    assert.equal(await checking, 'log lost');
  } finally {
    scanner.release();
  }
  const served = (await followedFields(db.pool)).filter(({ isServed }) => isServed);
  assert.deepEqual(served, []);
});
