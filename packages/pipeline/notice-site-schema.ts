import { followSite } from '@understudy/schema/follow-site';
import { schemaChanges } from '@understudy/schema/schema-change';
import { digestOf, type SiteChange, siteChanges } from '@understudy/schema/site-schema-digest';
import type { SiteClient } from '@understudy/site-client/site-client';
import type { Database, DatabaseOptions } from '@understudy/store/database';
import { readSchemaState } from '@understudy/store/generations';
import { closeSiteChanges, openSiteChanges, recordSiteChanges } from '@understudy/store/site-changes';
import { changeFollowed, readSnapshot } from './followed-schema.ts';
import { GenerationUnderWay, moveGeneration } from './move-generation.ts';
import { readSiteSchema } from './site-schema.ts';

interface Parts {
  readonly db: Database;
  readonly site: SiteClient;
  readonly siteUrl: string;
}

/**
 * Reads the site's schema and compares it with what is known of it. What is different is no longer stored or served
 * when this returns, unless it still fits a generation: a field of another data type, or one that is gone, passes
 * through; links that may lead to fewer types are scanned again first.
 * @returns what became different.
 * @throws SiteUnavailable, SiteSchemaError
 */
export async function noticeSiteSchema(parts: Parts): Promise<readonly SiteChange[]> {
  const { db } = parts;
  const reading = await readSiteSchema(parts, { priority: 'poll' });
  const digest = digestOf(reading.schema);
  const known = await readSchemaState(db.pool);
  if (known === null || siteChanges(known.digest, digest).length === 0) return [];
  let changes: readonly SiteChange[] = [];
  await changeFollowed(db, async (tx, before) => {
    if (before.state === null || before.state.readAt >= reading.askedAt) return null;
    changes = siteChanges(before.state.digest, digest);
    if (changes.length === 0) return null;
    await recordSiteChanges(tx, changes);
    const renewed = new Set(changes.flatMap((one) => (one.narrowed ? [`${one.type}.${one.field}`] : [])));
    return { siteSchema: reading, renewed };
  });
  return changes;
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
  const open = await openSiteChanges(db.pool, OPEN_CHANGES_MAX);
  if (open.length === 0) return null;
  const { generations } = await db.snapshot(readSnapshot);
  const live = generations.filter(({ state }) => state !== 'retired');
  const [newest] = live;
  if (newest === undefined || newest.state !== 'serving') return null;
  const reading = await readSiteSchema(parts, { priority: 'poll' });
  const made = new Set(open.flatMap((one) => (one.kind === 'made' ? [`${one.type}.${one.field}`] : [])));
  const declared = followSite(newest.declared, reading.schema, made);
  if (schemaChanges(newest.declared, declared).length === 0) {
    await closeSiteChanges(db.pool);
    return null;
  }
  const source = `the site: ${open.map((one) => one.message).join('; ')}`;
  try {
    return await moveGeneration({ ...parts, declared, reading, source, isAutomatic: true });
  } catch (error) {
    if (error instanceof GenerationUnderWay) return null;
    throw error;
  }
}
