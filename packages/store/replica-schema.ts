import type { CachedSchema } from '@understudy/schema/cached-schema';
import { formatCachedSchema, parseCachedSchema } from '@understudy/schema/cached-schema-file';
import type { SchemaDifference } from '@understudy/schema/difference';
import type { Queryable } from './database.ts';

/** Remembers the cached schema as it was last found to fit the site, for starts while the site is away. */
export async function saveReplicaSchema(
  q: Queryable,
  siteUrl: string,
  schema: CachedSchema,
  differences: readonly SchemaDifference[],
): Promise<void> {
  await q.query(
    `insert into understudy.replica_schema (site_url, schema, differences) values ($1, $2, $3)
     on conflict (single) do update set site_url = excluded.site_url, schema = excluded.schema,
       differences = excluded.differences, fitted_at = now()`,
    [siteUrl, formatCachedSchema(schema), JSON.stringify(differences)],
  );
}

/** @returns the schema last saved for that site, or null. */
export async function loadReplicaSchema(q: Queryable, siteUrl: string): Promise<CachedSchema | null> {
  const { rows } = await q.query<{ schema: string }>(
    'select schema from understudy.replica_schema where site_url = $1',
    [siteUrl],
  );
  return rows[0] === undefined ? null : parseCachedSchema(rows[0].schema);
}
