import { parseSiteSchema, type SiteSchema } from '@understudy/schema/site-schema';
import type { CallOptions, SiteClient } from '@understudy/site-client/site-client';
import type { Database } from '@understudy/store/database';
import { databaseTime, saveSiteSchema } from '@understudy/store/site-schema';

/** The site's schema, and when it was asked for by PostgreSQL's clock: of two readings the later question counts. */
export interface SiteSchemaReading {
  readonly schema: SiteSchema;
  readonly askedAt: Date;
}

/**
 * Asks the site for its schema and stores what it said, for schema reads.
 * @throws SiteUnavailable, SiteSchemaError
 */
export async function readSiteSchema(
  { db, site, siteUrl }: { readonly db: Database; readonly site: SiteClient; readonly siteUrl: string },
  options: CallOptions,
): Promise<SiteSchemaReading> {
  const askedAt = await databaseTime(db.pool);
  const [{ results: schemaRead }, { results: schemaEntityRead }] = await Promise.all([
    site.call('schema_read', undefined, options),
    site.call('schema_entity_read', undefined, options),
  ]);
  const parsed = parseSiteSchema(schemaRead);
  await saveSiteSchema(db.pool, siteUrl, askedAt, { schemaRead, schemaEntityRead });
  return { schema: parsed, askedAt };
}
