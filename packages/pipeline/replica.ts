import type { CachedSchema } from '@understudy/schema/cached-schema';
import { readCachedSchemaFile } from '@understudy/schema/cached-schema-file';
import { fitToSite, type SchemaDifference } from '@understudy/schema/difference';
import { SiteUnavailable } from '@understudy/site-client/faults';
import type { SiteClient } from '@understudy/site-client/site-client';
import type { Database, DatabaseOptions } from '@understudy/store/database';
import { syncEntityTables } from '@understudy/store/entity-tables';
import { migrate } from '@understudy/store/migrate';
import { loadReplicaSchema, saveReplicaSchema } from '@understudy/store/replica-schema';
import { readSiteSchema } from './site-schema.ts';

/** What everybody who fills or reads the replica works with. */
export interface Replica {
  readonly db: Database;
  readonly site: SiteClient;
  /** The part of the cached schema that fits the site. */
  readonly schema: CachedSchema;
}

/**
 * Makes the tables and finds out what of the cached schema the site has. While the site is away, what was found last
 * time is taken.
 * @throws SiteUnavailable when the site is away and was never seen.
 */
export async function prepareReplica(options: {
  readonly db: Database;
  readonly databaseOptions: DatabaseOptions;
  readonly site: SiteClient;
  readonly siteUrl: string;
  readonly schemaFile: string;
}): Promise<Replica & { readonly differences: readonly SchemaDifference[] }> {
  const { db, site, siteUrl } = options;
  await migrate(db);
  const declared = await readCachedSchemaFile(options.schemaFile);
  let schema: CachedSchema;
  let differences: readonly SchemaDifference[] = [];
  try {
    const fitted = fitToSite(declared, await readSiteSchema({ db, site, siteUrl }, { priority: 'poll' }));
    schema = fitted.schema;
    differences = fitted.differences;
    await saveReplicaSchema(db.pool, siteUrl, schema, differences);
  } catch (error) {
    if (!(error instanceof SiteUnavailable)) throw error;
    const known = await loadReplicaSchema(db.pool, siteUrl);
    if (known === null) throw error;
    schema = known;
  }
  await syncEntityTables(db, options.databaseOptions, schema);
  return { db, site, schema, differences };
}
