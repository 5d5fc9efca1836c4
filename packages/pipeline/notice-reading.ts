import { digestOf, type SiteChange, siteChanges } from '@understudy/schema/site-schema-digest';
import type { Database } from '@understudy/store/database';
import { readSchemaState } from '@understudy/store/generations';
import { recordSiteChanges } from '@understudy/store/site-changes';
import { changeFollowed } from './followed-schema.ts';
import type { SiteSchemaReading } from './site-schema.ts';

/**
 * Compares a reading of the site's schema with what is known of it. What is different is recorded, and no longer stored or
 * served when this returns, unless it still fits a generation: a field of another data type, or one that is gone, passes
 * through; links that may lead to fewer types are scanned again first.
 * @returns what became different; nothing where the replica was never prepared, or a later reading is known.
 */
export async function noticeReading(
  db: Database,
  reading: SiteSchemaReading,
): Promise<readonly SiteChange[]> {
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
