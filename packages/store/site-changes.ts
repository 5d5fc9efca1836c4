import type { SiteChange } from '@understudy/schema/site-schema-digest';
import type { Queryable } from './database.ts';

/** A change of the site's schema, as it was noticed. */
export interface NoticedChange extends Omit<SiteChange, 'narrowed'> {
  /** Greater for what was noticed later. */
  readonly id: number;
  readonly seenAt: Date;
}

/** Records what became different on the site, for people and for the next generation. */
export async function recordSiteChanges(tx: Queryable, changes: readonly SiteChange[]): Promise<void> {
  await tx.query(
    `insert into understudy.site_change (entity_type, field, kind, message)
     select type, field, kind, message from jsonb_to_recordset($1::jsonb)
       as r(type text, field text, kind text, message text)`,
    [JSON.stringify(changes)],
  );
}

/** Changes that no generation has taken up, oldest first. */
export async function openSiteChanges(q: Queryable, limit: number): Promise<readonly NoticedChange[]> {
  const { rows } = await q.query<{
    id: string;
    entity_type: string;
    field: string | null;
    kind: SiteChange['kind'];
    message: string;
    seen_at: Date;
  }>(
    `select id, entity_type, field, kind, message, seen_at from understudy.site_change where handled_at is null
     order by id limit $1`,
    [limit],
  );
  return rows.map((row) => ({
    id: Number(row.id),
    type: row.entity_type,
    ...(row.field === null ? {} : { field: row.field }),
    kind: row.kind,
    message: row.message,
    seenAt: row.seen_at,
  }));
}

/**
 * Whoever made a generation has seen the changes noticed until now.
 * @param through id of the last one that it has seen, where there may be later ones.
 */
export async function closeSiteChanges(tx: Queryable, through: number | null = null): Promise<void> {
  await tx.query(
    'update understudy.site_change set handled_at = now() where handled_at is null and ($1::bigint is null or id <= $1)',
    [through],
  );
}
