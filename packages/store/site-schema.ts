import type { Json } from '@understudy/domain/entity';
import type { Queryable } from './database.ts';

/** What the site said of its schema, word for word (protocol §5.8). */
export interface SiteSchemaReplies {
  /** `{Type: {field: descriptor}}` */
  readonly schemaRead: Json;
  /** `{Type: {name, visible}}` */
  readonly schemaEntityRead: Json;
}

/** The replies as they were last stored. */
export interface StoredSiteSchema {
  /** When the site was asked, by PostgreSQL's clock; tells one copy from another. */
  readonly askedAt: Date;
  /** Whether the schema may have changed since: a field was made, changed or deleted, here or on the site. */
  readonly isStale: boolean;
}

/** PostgreSQL's clock, to be read before the site is asked. */
export async function databaseTime(q: Queryable): Promise<Date> {
  const { rows } = await q.query<{ now: Date }>('select clock_timestamp() as now');
  const [row] = rows;
  if (row === undefined) throw new Error('PostgreSQL did not tell the time');
  return row.now;
}

/**
 * Stores the site's replies; those of an earlier question change nothing.
 * @param askedAt databaseTime, read before the site was asked.
 */
export async function saveSiteSchema(
  q: Queryable,
  siteUrl: string,
  askedAt: Date,
  replies: SiteSchemaReplies,
): Promise<void> {
  await q.query(
    `insert into understudy.site_schema as s (site_url, schema_read, schema_entity_read, asked_at) values ($1, $2, $3, $4)
     on conflict (single) do update set site_url = excluded.site_url, schema_read = excluded.schema_read,
       schema_entity_read = excluded.schema_entity_read, asked_at = excluded.asked_at, is_stale = false,
       renewing_until = null
     where s.asked_at < excluded.asked_at or s.site_url <> excluded.site_url`,
    [siteUrl, JSON.stringify(replies.schemaRead), JSON.stringify(replies.schemaEntityRead), askedAt],
  );
}

/** Says that the stored schema is no longer the site's, because a field was changed through this replica. */
export async function outdateSiteSchema(q: Queryable): Promise<void> {
  await q.query('update understudy.site_schema set is_stale = true');
}

/** @returns what is known of the stored copy, without the copy; null when there is none for that site. */
export async function siteSchemaState(q: Queryable, siteUrl: string): Promise<StoredSiteSchema | null> {
  const { rows } = await q.query<{ asked_at: Date; is_stale: boolean }>({
    name: 'site-schema-state',
    text: `select asked_at, is_stale or exists (select from understudy.event_log
        where event_type like 'Shotgun\\_DisplayColumn\\_%' and stored_at >= s.asked_at) as is_stale
      from understudy.site_schema s where site_url = $1`,
    values: [siteUrl],
  });
  const [row] = rows;
  return row === undefined ? null : { askedAt: row.asked_at, isStale: row.is_stale };
}

/** @returns the stored replies as JSON text, or null. */
export async function loadSiteSchema(
  q: Queryable,
  siteUrl: string,
): Promise<{
  readonly schemaRead: string;
  readonly schemaEntityRead: string;
  readonly askedAt: Date;
} | null> {
  const { rows } = await q.query<{ schema_read: string; schema_entity_read: string; asked_at: Date }>(
    `select schema_read::text, schema_entity_read::text, asked_at from understudy.site_schema where site_url = $1`,
    [siteUrl],
  );
  const [row] = rows;
  if (row === undefined) return null;
  return { schemaRead: row.schema_read, schemaEntityRead: row.schema_entity_read, askedAt: row.asked_at };
}

/**
 * Takes the task of asking the site again, if the copy needs it and nobody else has the task.
 * @param maxAgeMs age at which a copy is renewed though nothing says that it changed.
 * @param claimMs how long the others wait for this one.
 */
export async function claimSiteSchemaRenewal(
  q: Queryable,
  siteUrl: string,
  maxAgeMs: number,
  claimMs: number,
): Promise<boolean> {
  const { rowCount } = await q.query(
    `update understudy.site_schema s set renewing_until = now() + make_interval(secs => $3::double precision / 1000)
     where site_url = $1 and (renewing_until is null or renewing_until < now())
       and (is_stale or asked_at < now() - make_interval(secs => $2::double precision / 1000)
         or exists (select from understudy.event_log
           where event_type like 'Shotgun\\_DisplayColumn\\_%' and stored_at >= s.asked_at))`,
    [siteUrl, maxAgeMs, claimMs],
  );
  return rowCount === 1;
}
