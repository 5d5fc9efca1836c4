import type { CachedSchema } from '@understudy/schema/cached-schema';
import { withColumns } from '@understudy/schema/columns';
import { fitToSite } from '@understudy/schema/difference';
import type { Database, DatabaseOptions } from '@understudy/store/database';
import { insertGeneration, readGenerations } from '@understudy/store/generations';
import { closeSiteChanges } from '@understudy/store/site-changes';
import { syncEntityTables } from '@understudy/store/sync-entity-tables';
import { changeFollowed } from './followed-schema.ts';
import { noticeReading } from './notice-reading.ts';
import type { SiteSchemaReading } from './site-schema.ts';

export interface NewGeneration {
  readonly db: Database;
  readonly databaseOptions: DatabaseOptions;
  readonly declared: CachedSchema;
  /** What the site has now. */
  readonly reading: SiteSchemaReading;
  /** Where it comes from: a file's name, or why it is made. */
  readonly source: string;
}

const ATTEMPTS = 10;

/** A generation cannot be made while another one is on its way. */
export class GenerationUnderWay extends Error {
  override readonly name = 'GenerationUnderWay';
  readonly id: number;

  constructor(id: number, state: string) {
    super(`generation ${id} is ${state}: activate it or roll it back first`);
    this.id = id;
  }
}

/**
 * The move: makes the columns that a new generation needs, then has everybody follow it. From its return on every merge
 * stores the new fields, whoever makes it; none is served before its scan.
 * @returns the generation's id.
 * @throws GenerationUnderWay
 */
export async function moveGeneration(
  options: NewGeneration & {
    readonly isAutomatic: boolean;
    /** The last change noticed on the site that the schema takes into account; all that there are unless given. */
    readonly through?: number;
  },
): Promise<number> {
  const { db, reading } = options;
  // Else what the site changed since the last look would be known, and never have been noticed.
  await noticeReading(db, reading);
  const fitted = fitToSite(options.declared, reading.schema).schema;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const kept = await readGenerations(db.pool);
    const schema = withColumns(
      fitted,
      kept.map((generation) => generation.schema),
    );
    await syncEntityTables(db, options.databaseOptions, schema);
    let id: number | undefined;
    await changeFollowed(db, async (tx, before) => {
      const underWay = before.generations.find(({ state }) => state !== 'serving' && state !== 'retired');
      if (underWay !== undefined) throw new GenerationUnderWay(underWay.id, underWay.state);
      // Somebody else made or dropped one meanwhile: the columns may be others, or gone.
      if (before.generations.map((one) => one.id).join() !== kept.map((one) => one.id).join()) return null;
      id = await insertGeneration(tx, { ...options, schema });
      await closeSiteChanges(tx, options.through);
      return { siteSchema: reading };
    });
    if (id !== undefined) return id;
  }
  throw new Error('other generations are made all the time');
}

/** Makes the first generation of a site, which goes on by itself; harmless when another process has made it. */
export async function firstGeneration(options: NewGeneration & { readonly siteUrl: string }): Promise<void> {
  const { db, siteUrl, reading } = options;
  const fitted = fitToSite(options.declared, reading.schema).schema;
  const kept = await readGenerations(db.pool);
  const schema = withColumns(
    fitted,
    kept.map((generation) => generation.schema),
  );
  await syncEntityTables(db, options.databaseOptions, schema);
  await changeFollowed(db, async (tx, before) => {
    if (before.state?.siteUrl === siteUrl) return null;
    // What was kept of another site is worth nothing here.
    await tx.query(
      `update understudy.generation set state = 'retired', retired_at = coalesce(retired_at, now()), released_at = now()
       where released_at is null`,
    );
    await tx.query('delete from understudy.followed_field');
    await insertGeneration(tx, { ...options, schema, isAutomatic: true });
    return { siteUrl, siteSchema: reading };
  });
}
