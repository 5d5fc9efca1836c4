import { prepareReplica, type Replica } from '@understudy/pipeline/replica';
import { localBudget } from '@understudy/site-client/budget';
import { createSiteClient } from '@understudy/site-client/site-client';
import { openDatabase } from '@understudy/store/database';
import { entityTable } from '@understudy/store/entity-tables';
import { serveType } from '@understudy/store/followed-fields';
import { mergeFetched } from '@understudy/store/merge/fetched';
import { nextTick } from '@understudy/store/tick';
import { initWatermark } from '@understudy/store/watermark';
import { type Studio, studioRows } from './studio.ts';

/** Rows in one merge, as in one page of a scan. */
export const PAGE = 500;

/** Opens a replica of a site in an empty database. `close` gives everything back. */
export async function openReplica(options: {
  readonly databaseUrl: string;
  readonly siteUrl: string;
  readonly schemaFile: string;
}): Promise<{ readonly replica: Replica; close(): Promise<void> }> {
  const databaseOptions = { url: options.databaseUrl, poolSize: 4, applicationName: 'bench' };
  const db = await openDatabase(databaseOptions);
  const site = createSiteClient({
    url: options.siteUrl,
    credentials: { scriptName: 'understudy', scriptKey: 'sandbox-key' },
    budget: localBudget({ concurrency: 4 }),
    timeoutMs: 10_000,
  });
  const { siteUrl, schemaFile } = options;
  const replica = await prepareReplica({ db, databaseOptions, site, siteUrl, schemaFile });
  return {
    replica,
    close: async () => {
      await site.close();
      await db.close();
    },
  };
}

/** Fills a replica with a studio through the merge, page by page as a full scan does, and lets it be served. */
export async function fillReplica({ db, schema }: Replica, studio: Studio): Promise<void> {
  for (const [type, rows] of studioRows(studio)) {
    const cached = schema.types.get(type);
    if (cached === undefined) throw new Error(`${type} is not kept`);
    const table = entityTable(cached);
    for (const page of pages(rows(), PAGE)) {
      const tick = await nextTick(db.pool);
      await db.transaction((tx) =>
        mergeFetched(tx, table, {
          tick,
          siteTime: new Date(),
          rows: page.map((row) => ({ row, active: true })),
        }),
      );
    }
  }
  for (const cached of schema.types.values()) await serveType(db.pool, cached.name);
  await initWatermark(db.pool, 0);
  await db.pool.query('vacuum analyze');
}

/** The first `count` of a sequence. */
export function* first<T>(items: Iterable<T>, count: number): Generator<T> {
  let left = count;
  for (const item of items) {
    if (left === 0) return;
    left -= 1;
    yield item;
  }
}

/** A sequence cut into arrays of at most `size`. */
export function* pages<T>(items: Iterable<T>, size: number): Generator<readonly T[]> {
  let page: T[] = [];
  for (const item of items) {
    page.push(item);
    if (page.length === size) {
      yield page;
      page = [];
    }
  }
  if (page.length > 0) yield page;
}
