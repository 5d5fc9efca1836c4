import type { Queryable } from './database.ts';
import type { Gap } from './gap-tracker.ts';

/** How far the replica has followed the site's event log. */
export interface Watermark {
  /** Last id that a poll has asked past. */
  readonly polledThrough: number;
  /** Last id below which nothing is open: no gap, no event that waits. */
  readonly appliedThrough: number;
  readonly lastPollAt: Date | null;
  /** How old what the replica shows may be, milliseconds; null before the first poll. */
  readonly lagMs: number | null;
}

/** @returns null before the poller's first start. */
export async function readWatermark(q: Queryable): Promise<Watermark | null> {
  const { rows } = await q.query<{
    polled: string;
    waiting: string | null;
    gap: string | null;
    last_poll_at: Date | null;
    lag: number | null;
  }>({
    name: 'read-watermark',
    text: `select w.polled_through as polled, w.last_poll_at, e.id as waiting,
        (select min(first_id) from understudy.gap) as gap,
        (extract(epoch from now() - least(w.last_poll_at, e.stored_at, o.stored_at)) * 1000)::double precision as lag
      from understudy.watermark w left join lateral (
        select id, stored_at from understudy.open_event where error is null order by id limit 1) e on true
      left join lateral (
        -- One that came late may be the lowest, and has not waited for as long as those above it.
        select stored_at from understudy.open_event where error is null and not late order by id limit 1) o on true`,
  });
  const [row] = rows;
  if (row === undefined) return null;
  const open = [row.waiting, row.gap].flatMap((id) => (id === null ? [] : [Number(id) - 1]));
  return {
    polledThrough: Number(row.polled),
    appliedThrough: Math.min(Number(row.polled), ...open),
    lastPollAt: row.last_poll_at,
    lagMs: row.lag,
  };
}

/** Sets where following begins. */
export async function initWatermark(tx: Queryable, polledThrough: number): Promise<void> {
  await tx.query(
    `insert into understudy.watermark (polled_through) values ($1)
     on conflict (single) do update set polled_through = excluded.polled_through, last_poll_at = null,
       held_from = 0`,
    [polledThrough],
  );
}

/** Records a poll that began at `askedAt` and saw everything visible through an id. */
export async function advancePolled(tx: Queryable, polledThrough: number, askedAt: Date): Promise<void> {
  await tx.query(
    'update understudy.watermark set polled_through = greatest(polled_through, $1), last_poll_at = $2',
    [polledThrough, askedAt],
  );
}

/** Missing ids that are still asked for, lowest first. */
export async function openGaps(q: Queryable): Promise<readonly Gap[]> {
  const { rows } = await q.query<{ first_id: string; last_id: string; seen_at: Date }>(
    'select first_id, last_id, seen_at from understudy.gap order by first_id',
  );
  return rows.map((row) => ({
    first: Number(row.first_id),
    last: Number(row.last_id),
    seenAt: row.seen_at.getTime(),
  }));
}

/** Replaces what is known to be missing. */
export async function replaceGaps(tx: Queryable, gaps: readonly Gap[]): Promise<void> {
  await tx.query('delete from understudy.gap');
  if (gaps.length === 0) return;
  await tx.query(
    `insert into understudy.gap (first_id, last_id, seen_at)
     select first, last, to_timestamp("seenAt"::double precision / 1000)
     from jsonb_to_recordset($1::jsonb) as r(first bigint, last bigint, "seenAt" bigint)`,
    [JSON.stringify(gaps)],
  );
}
