import { followSite } from '@understudy/schema/follow-site';
import { schemaChanges } from '@understudy/schema/schema-change';
import type { SiteChange } from '@understudy/schema/site-schema-digest';
import type { SiteClient } from '@understudy/site-client/site-client';
import type { Database, DatabaseOptions } from '@understudy/store/database';
import { closeSiteChanges, openSiteChanges } from '@understudy/store/site-changes';
import { readSnapshot } from './followed-schema.ts';
import { GenerationUnderWay, moveGeneration } from './move-generation.ts';
import { noticeReading } from './notice-reading.ts';
import { readSiteSchema } from './site-schema.ts';

interface Parts {
  readonly db: Database;
  readonly site: SiteClient;
  readonly siteUrl: string;
}

/**
 * Reads the site's schema and compares it with what is known of it, as `noticeReading` does.
 * @returns what became different.
 * @throws SiteUnavailable, SiteSchemaError
 */
export async function noticeSiteSchema(parts: Parts): Promise<readonly SiteChange[]> {
  return noticeReading(parts.db, await readSiteSchema(parts, { priority: 'poll' }));
}

const OPEN_CHANGES_MAX = 10_000;

/**
 * Rolls a generation out, by itself until it is served, when the site's schema has changed in a way that the cached one
 * can follow: other data types, fields made on cached types, fields deleted.
 * @returns the generation's id; null when there is nothing to do, or another generation is on its way.
 * @throws SiteUnavailable
 */
export async function followSiteChanges(
  parts: Parts & { readonly databaseOptions: DatabaseOptions },
): Promise<number | null> {
  const { db } = parts;
  if ((await openSiteChanges(db.pool, 1)).length === 0) return null;
  const { generations } = await db.snapshot(readSnapshot);
  const live = generations.filter(({ state }) => state !== 'retired');
  const [newest] = live;
  if (newest === undefined || newest.state !== 'serving') return null;
  const reading = await readSiteSchema(parts, { priority: 'poll' });
  // It may show what no poll has heard of yet. What is noticed from here on may not be in it, and stays open.
  await noticeReading(db, reading);
  const open = await openSiteChanges(db.pool, OPEN_CHANGES_MAX);
  const through = open.at(-1)?.id;
  if (through === undefined) return null;
  const made = new Set(open.flatMap((one) => (one.kind === 'made' ? [`${one.type}.${one.field}`] : [])));
  const declared = followSite(newest.declared, reading.schema, made);
  if (schemaChanges(newest.declared, declared).length === 0) {
    await closeSiteChanges(db.pool, through);
    return null;
  }
  const source = `the site: ${open.map((one) => one.message).join('; ')}`;
  try {
    return await moveGeneration({ ...parts, declared, reading, source, through, isAutomatic: true });
  } catch (error) {
    if (error instanceof GenerationUnderWay) return null;
    throw error;
  }
}
