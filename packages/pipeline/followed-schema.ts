import type { CachedSchema } from '@understudy/schema/cached-schema';
import { unionOf } from '@understudy/schema/combine';
import { fitToSite } from '@understudy/schema/difference';
import { digestOf } from '@understudy/schema/site-schema-digest';
import type { Database, Queryable } from '@understudy/store/database';
import { followFields } from '@understudy/store/followed-fields';
import {
  beginEpoch,
  type Generation,
  readGenerations,
  readSchemaState,
  type SchemaState,
} from '@understudy/store/generations';
import { whileNobodyMerges } from '@understudy/store/schema-epoch';
import type { SiteSchemaReading } from './site-schema.ts';

/** What is known of the schema at one moment. */
export interface SchemaSnapshot {
  /** Null before the replica was first prepared. */
  readonly state: SchemaState | null;
  /** Those whose columns are kept, newest first. */
  readonly generations: readonly Generation[];
}

/** Within a transaction in which nothing changes: what is known of the schema. */
export async function readSnapshot(tx: Queryable): Promise<SchemaSnapshot> {
  return { state: await readSchemaState(tx), generations: await readGenerations(tx) };
}

/**
 * What merges store: every field of every generation that is not released, as far as the site has it now. A field that
 * two generations keep with different data types fits the site in one of them at most.
 */
export function followedSchema({ state, generations }: SchemaSnapshot): CachedSchema {
  if (state === null) return { types: new Map() };
  const followed = generations.filter((generation) => generation.releasedAt === null);
  return unionOf(followed.map((generation) => fitToSite(generation.schema, state.siteSchema).schema));
}

/** What a change of what is followed may bring besides the generations that it wrote. */
export interface FollowChange {
  readonly siteUrl?: string;
  /** Ignored when the site was asked later than that already. */
  readonly siteSchema?: SiteSchemaReading;
  /** Fields, as `Type.field`, whose values are in doubt though they were followed all the time. */
  readonly renewed?: ReadonlySet<string>;
}

/**
 * Changes what is followed: `change` writes generations, or says what the site's schema is now; then a new epoch begins.
 * Merges that began before have ended, those that come later store what the new epoch says or are refused.
 * @param change gives null when nothing is to be changed after all.
 * @returns the new epoch, or null.
 */
export function changeFollowed(
  db: Database,
  change: (tx: Queryable, before: SchemaSnapshot) => Promise<FollowChange | null>,
): Promise<number | null> {
  return whileNobodyMerges(db, async (tx) => {
    const before = await readSnapshot(tx);
    const changed = await change(tx, before);
    if (changed === null) return null;
    const siteUrl = changed.siteUrl ?? before.state?.siteUrl;
    const known = siteUrl === before.state?.siteUrl ? before.state : null;
    const isNewer =
      changed.siteSchema !== undefined && (known === null || changed.siteSchema.askedAt > known.readAt);
    const site = isNewer
      ? { digest: digestOf(changed.siteSchema.schema), readAt: changed.siteSchema.askedAt }
      : known;
    if (siteUrl === undefined || site === null) throw new Error('the site’s schema is not known');
    const epoch = await beginEpoch(tx, { ...site, siteUrl });
    await followFields(tx, followedSchema(await readSnapshot(tx)), epoch, changed.renewed);
    return epoch;
  });
}
