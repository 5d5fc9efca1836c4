import type { Queryable } from './database.ts';

/**
 * Deletes events that are older than `keepMs` and were applied, the oldest first; those that wait or are parked stay, and
 * the log is no longer held without a hole below what was deleted.
 * @param limit rows of one statement, so that no lock is held for long. @returns how many were deleted.
 */
export async function forgetEvents(q: Queryable, keepMs: number, limit: number): Promise<number> {
  const { rows } = await q.query<{ n: string }>(
    `with gone as (
       delete from understudy.event_log where id in (
         select id from understudy.event_log e
         where created_at < now() - make_interval(secs => $1::double precision / 1000)
           and not exists (select from understudy.open_event o where o.id = e.id)
         order by created_at limit $2)
       returning id),
     held as (
       update understudy.watermark set held_from = greatest(held_from, (select max(id) from gone) + 1)
       where exists (select from gone))
     select count(*) as n from gone`,
    [keepMs, limit],
  );
  return Number(rows[0]?.n);
}

/** Deletes scans that ended longer ago than `keepMs`, but the last of each kind. @returns how many were deleted. */
export async function forgetScans(q: Queryable, keepMs: number, limit: number): Promise<number> {
  const { rowCount } = await q.query(
    `delete from understudy.scan where id in (
       select id from understudy.scan s
       where finished_at < now() - make_interval(secs => $1::double precision / 1000)
         and exists (select from understudy.scan later
           where later.kind = s.kind and later.id > s.id and later.finished_at is not null)
       order by id limit $2)`,
    [keepMs, limit],
  );
  return rowCount ?? 0;
}
