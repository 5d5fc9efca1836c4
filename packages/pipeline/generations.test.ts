import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { siteSchemaFrom } from '@understudy/schema/site-schema-digest';
import type { SiteClient } from '@understudy/site-client/site-client';
import { type Database, openDatabase } from '@understudy/store/database';
import { followedFields, ROWS, serveScanned } from '@understudy/store/followed-fields';
import { readGenerations } from '@understudy/store/generations';
import { migrate } from '@understudy/store/migrate';
import { createScan, finishChunk, openChunks } from '@understudy/store/scans';
import { SchemaMoved } from '@understudy/store/schema-epoch';
import fc from 'fast-check';
import {
  activate,
  advanceGenerations,
  beginRescan,
  dropReleased,
  GenerationError,
  releaseRetired,
  rollBack,
  unservedFields,
} from './advance-generation.ts';
import { changeFollowed, followedSchema, readSnapshot } from './followed-schema.ts';
import { firstGeneration, GenerationUnderWay, moveGeneration } from './move-generation.ts';
import { onReplica, readReplica } from './replica.ts';
import { readServable } from './servable-schema.ts';

const SITE_URL = 'http://site.example';
/** Nobody is asked in these tests. */
const NO_SITE = {} as SiteClient;
/** Each takes a second or so: columns are made for it. TEST_GENERATION_RUNS sets another number. */
const RUNS = Number(process.env['TEST_GENERATION_RUNS'] ?? 8);
const FIELDS = ['a', 'b', 'c'];
const DATA_TYPES = ['text', 'number', 'checkbox'];

type Columns = Readonly<Record<string, string>>;

const schemaOf = (columns: Columns): CachedSchema =>
  parseCachedSchema(JSON.stringify({ types: { Shot: columns } }));

describe('generations in PostgreSQL', () => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let db: Database;
  let databaseOptions: { readonly url: string; readonly poolSize: number; readonly applicationName: string };
  let clock = 0;

  const reading = (site: Columns): { schema: ReturnType<typeof siteSchemaFrom>; askedAt: Date } => {
    clock += 1_000;
    const fields = Object.fromEntries(Object.entries(site).map(([name, type]) => [name, [type] as const]));
    return { schema: siteSchemaFrom({ Shot: fields }), askedAt: new Date(clock) };
  };
  const move = (columns: Columns, site: Columns): Promise<number> =>
    moveGeneration({
      db,
      databaseOptions,
      declared: schemaOf(columns),
      reading: reading(site),
      source: 'test',
      isAutomatic: false,
    });

  before(async () => {
    database = await createTestDatabase();
    databaseOptions = { url: database.url, poolSize: 8, applicationName: 'test' };
    db = await openDatabase(databaseOptions);
    await migrate(db);
  });
  after(async () => {
    await db.close();
    await database.drop();
  });
  beforeEach(reset);

  async function reset(): Promise<void> {
    await db.pool.query(`truncate understudy.generation, understudy.schema_state, understudy.followed_field,
      understudy.site_change, understudy.scan, understudy.scan_chunk restart identity cascade`);
    await db.pool.query('drop table if exists site.shot');
  }

  const first = (columns: Columns): Promise<void> =>
    firstGeneration({
      db,
      databaseOptions,
      declared: schemaOf(columns),
      reading: reading(columns),
      source: 'test',
      siteUrl: SITE_URL,
    });

  test('a merge by an older schema is refused, and done again on the newer one', async () => {
    await first({ a: 'text' });
    await scanAll();
    const replica = await readReplica(db, NO_SITE);
    await move({ a: 'text', b: 'text' }, { a: 'text', b: 'text' });
    await assert.rejects(
      replica.db.transaction(async () => {}),
      SchemaMoved,
    );
    const fields = await onReplica(replica, (current) =>
      current.db.transaction(async () => [...(current.schema.types.get('Shot')?.fields.keys() ?? [])]),
    );
    assert.deepEqual(fields, ['a', 'b']);
  });

  test('after a move nothing by an older schema is committed, however many merge at once', async () => {
    await first({ a: 'text' });
    await db.pool.query('create table if not exists public.merged (n bigserial primary key, epoch bigint)');
    let isMoving = true;
    const merging = Array.from({ length: 4 }, async () => {
      let replica = await readReplica(db, NO_SITE);
      while (isMoving) {
        await onReplica(replica, async (current) => {
          replica = current;
          await current.db.transaction(async (tx) => {
            await tx.query('insert into public.merged (epoch) values ($1)', [current.epoch]);
          });
        });
      }
    });
    const begun: { readonly n: number; readonly epoch: number }[] = [];
    for (let turn = 0; turn < 15; turn += 1) {
      let n = 0;
      const epoch = await changeFollowed(db, async (tx) => {
        const { rows } = await tx.query<{ n: string }>(
          `select nextval(pg_get_serial_sequence('public.merged', 'n')) as n`,
        );
        n = Number(rows[0]?.n);
        return {};
      });
      begun.push({ n, epoch: epoch ?? 0 });
      await until('merges go on', async () => {
        const merged = 'select from public.merged where epoch = $1 limit 1';
        return (await db.pool.query(merged, [epoch])).rowCount === 1;
      });
    }
    isMoving = false;
    await Promise.all(merging);
    for (const { n, epoch } of begun) {
      const { rows } = await db.pool.query('select n from public.merged where n > $1 and epoch < $2', [
        n,
        epoch,
      ]);
      assert.deepEqual(rows, []);
    }
    await db.pool.query('drop table public.merged');
  });

  test('a retyped field keeps its old column until it is dropped, and gets it back', async () => {
    const columns = async (): Promise<readonly string[]> => {
      const { rows } = await db.pool.query<{ name: string }>(
        `select attname as name from pg_attribute where attrelid = 'site.shot'::regclass and attnum > 0
         and not attisdropped and attname !~ '^_' and attname <> 'id' order by 1`,
      );
      return rows.map((row) => row.name);
    };
    await first({ a: 'text' });
    await scanAll();
    const second = await move({ a: 'number' }, { a: 'number' });
    assert.deepEqual(await columns(), ['a', 'a$number']);
    assert.equal((await readServable(db, 0)).schema.types.get('Shot')?.fields.has('a'), false);
    await beginRescan(db, second);
    await scanAll();
    await activate(db, second);
    assert.equal((await readServable(db, 0)).schema.types.get('Shot')?.fields.get('a')?.column, 'a$number');
    assert.deepEqual(await releaseRetired(db, 60_000), []);
    assert.deepEqual(await releaseRetired(db, 0), [1]);
    assert.equal((await dropReleased(db, 0)).dropped.length, 1);
    assert.deepEqual(await columns(), ['a$number']);
    await move({ a: 'text' }, { a: 'text' });
    assert.deepEqual(await columns(), ['a', 'a$number']);
  });

  test('a generation that was given up is not gone back to', async () => {
    const serve = async (columns: Columns): Promise<number> => {
      const id = await move(columns, { a: 'text', b: 'text' });
      await beginRescan(db, id);
      await scanAll();
      await activate(db, id);
      return id;
    };
    await first({ a: 'text', b: 'text' });
    await scanAll();
    const bad = await serve({ a: 'text' });
    assert.deepEqual(await rollBack(db), { serving: 1, retired: bad });
    const next = await serve({ b: 'text' });
    assert.deepEqual(await rollBack(db), { serving: 1, retired: next });
  });

  test('columns and tables that a view of somebody else needs stay, until it is gone, and nothing fails', async () => {
    await first({ a: 'text', b: 'text', c: 'text' });
    await scanAll();
    await db.pool.query('create view public.mine as select id, a from site.shot');
    const second = await move({ c: 'text' }, { c: 'text' });
    await beginRescan(db, second);
    await scanAll();
    await activate(db, second);
    await releaseRetired(db, 0);
    const { dropped, kept } = await dropReleased(db, 0);
    assert.deepEqual(dropped, ['alter table if exists site."shot" drop column if exists "b"']);
    assert.deepEqual(
      kept.map(({ statement }) => statement),
      ['alter table if exists site."shot" drop column if exists "a"'],
    );
    assert.match(kept[0]?.why ?? '', /mine/);
    const third = await move({ a: 'number', c: 'text' }, { a: 'number', c: 'text' });
    const schema = followedSchema(await db.snapshot(readSnapshot));
    assert.equal(schema.types.get('Shot')?.fields.get('a')?.column, 'a$number', 'its name is taken');
    await rollBack(db);
    await releaseRetired(db, 0);
    await db.pool.query('drop view public.mine');
    assert.deepEqual((await dropReleased(db, 0)).kept, []);
    const rest = (await readGenerations(db.pool)).map(({ id }) => id);
    assert.deepEqual(rest, [second], `${third} and the first are gone`);
  });

  test('a table that somebody reads is not waited for', async () => {
    await first({ a: 'text', b: 'text' });
    await scanAll();
    const second = await move({ a: 'text' }, { a: 'text' });
    await beginRescan(db, second);
    await scanAll();
    await activate(db, second);
    await releaseRetired(db, 0);
    const reading = await db.pool.connect();
    try {
      await reading.query('begin; select from site.shot');
      const { dropped, kept } = await dropReleased(db, 0);
      assert.deepEqual([dropped.length, kept.length], [0, 1]);
      assert.match(kept[0]?.why ?? '', /reading/);
    } finally {
      await reading.query('rollback');
      reading.release();
    }
    assert.equal((await dropReleased(db, 0)).dropped.length, 1);
  });

  /** Scans what is due, as scanners do. */
  async function scanAll(): Promise<void> {
    await advanceGenerations(db);
    await plan();
    for (const chunk of await openChunks(db.pool, 100)) await finish(chunk.id);
    await advanceGenerations(db);
    await advanceGenerations(db);
  }
  /** @returns the fields that the scan brings; null for all; undefined where there is nothing to scan. */
  async function plan(): Promise<readonly string[] | null | undefined> {
    const due = (await unservedFields(db)).get('Shot');
    if (due === undefined) return undefined;
    const fields = due.includes(ROWS) ? null : due;
    const some = fields === null ? {} : { fields };
    const chunks = [1, 101].map((fromId) => ({ type: 'Shot', fromId, toId: fromId + 99, ...some }));
    const kind = fields === null ? ('full' as const) : ('fields' as const);
    await createScan(db.pool, { kind, reason: 'test' }, chunks);
    return fields;
  }
  async function finish(id: number): Promise<void> {
    const chunk = (await openChunks(db.pool, 1_000)).find((one) => one.id === id);
    if (chunk === undefined) return;
    await db.transaction(async (tx) => {
      await finishChunk(tx, chunk, 0);
      await serveScanned(tx, chunk.scanId, chunk.type);
    });
  }

  const columnsArbitrary = fc.dictionary(fc.constantFrom(...FIELDS), fc.constantFrom(...DATA_TYPES), {
    minKeys: 1,
  });
  const step = fc.oneof(
    fc.record({ do: fc.constant('move' as const), columns: columnsArbitrary }),
    fc.record({ do: fc.constant('site' as const), columns: columnsArbitrary }),
    fc.record({
      do: fc.constantFrom('rescan', 'plan', 'chunk', 'chunk', 'activate', 'roll back', 'release'),
    }),
  );

  test('whatever happens in whatever order, only what was scanned since it is followed is served', async () => {
    await fc.assert(
      fc.asyncProperty(columnsArbitrary, fc.array(step, { maxLength: 15 }), async (start, steps) => {
        await reset();
        let site: Columns = start;
        await first(start);
        await advanceGenerations(db);
        // The model: since which step a field of a data type is stored without a break, and what scans cover.
        const since = new Map<string, number>();
        const scans: {
          readonly at: number;
          readonly fields: readonly string[] | null;
          readonly chunks: Set<number>;
        }[] = [];
        for (const [at, one] of [{ do: 'plan' as const }, ...steps].entries()) {
          if ('columns' in one && one.do === 'site') {
            site = one.columns;
            const now = reading(site);
            await changeFollowed(db, async () => ({ siteSchema: now }));
          } else if ('columns' in one) {
            await move(one.columns, site).catch((error: unknown) => {
              if (!(error instanceof GenerationUnderWay)) throw error;
            });
          } else {
            const newest = (await readGenerations(db.pool)).find(({ state }) => state !== 'retired');
            if (one.do === 'rescan' && newest !== undefined) await beginRescan(db, newest.id);
            const fields = one.do === 'plan' ? await plan() : undefined;
            if (fields !== undefined) {
              const known = new Set(scans.flatMap((scan) => [...scan.chunks]));
              const opened = (await openChunks(db.pool, 1_000)).map(({ id }) => id);
              scans.push({ at, fields, chunks: new Set(opened.filter((id) => !known.has(id))) });
            }
            if (one.do === 'chunk') {
              const [chunk] = await openChunks(db.pool, 1);
              if (chunk !== undefined) await finish(chunk.id);
            }
            if (one.do === 'activate' || one.do === 'roll back') {
              const work = one.do === 'activate' ? activate(db, newest?.id ?? 0) : rollBack(db);
              await Promise.resolve(work).catch((error: unknown) => {
                if (!(error instanceof GenerationError)) throw error;
              });
            }
            if (one.do === 'release') {
              await releaseRetired(db, 0);
              await dropReleased(db, 0);
            }
          }
          await advanceGenerations(db);
          const followed = followedSchema(await db.snapshot(readSnapshot)).types.get('Shot');
          const keys = new Set([...(followed?.fields.values() ?? [])].map((f) => `${f.name}:${f.dataType}`));
          for (const key of since.keys()) if (!keys.has(key)) since.delete(key);
          for (const key of keys) if (!since.has(key)) since.set(key, at);
          const open = new Set((await openChunks(db.pool, 1_000)).map(({ id }) => id));
          const served = (await followedFields(db.pool)).filter((f) => f.isServed && f.field !== 'id');
          for (const { field, dataType } of served) {
            const from = since.get(`${field}:${dataType}`);
            const isScanned = scans.some(
              (scan) =>
                from !== undefined &&
                scan.at >= from &&
                scan.fields?.includes(field) !== false &&
                [...scan.chunks].every((id) => !open.has(id)),
            );
            assert.ok(isScanned, `${field}:${dataType} is served at step ${at}, stored since ${from}`);
          }
          // What a reader serves is stored in a column of its own type.
          for (const f of (await readServable(db, 0)).schema.types.get('Shot')?.fields.values() ?? [])
            assert.equal(site[f.name], f.dataType);
        }
      }),
      { numRuns: RUNS },
    );
  });
});
