import type { Json } from '@understudy/domain/entity';
import type { EventLogEntry } from '@understudy/domain/event';
import { keptJson } from '@understudy/domain/kept-text';
import type { Queryable } from './database.ts';
import { arrayParameter } from './merge/array-parameter.ts';

/** An event as the replica keeps it. */
export interface StoredEvent {
  readonly entry: EventLogEntry;
  readonly tick: number;
  /** Its id filled a gap: it came out of order. */
  readonly late: boolean;
}

/**
 * Stores events as they came; those already there stay as they are. A trigger opens them (`open_event`): they wait until
 * they are applied.
 * @returns how many were new.
 */
export async function storeEvents(tx: Queryable, events: readonly StoredEvent[]): Promise<number> {
  if (events.length === 0) return 0;
  const records = events.map(({ entry, tick, late }) =>
    keptJson({
      id: entry.id,
      tick,
      late,
      created_at: entry.created_at,
      event_type: entry.event_type,
      entry: entry as unknown as Json,
    }),
  );
  const { rowCount } = await tx.query({
    name: 'store-events',
    text: `insert into understudy.event_log (id, tick, late, created_at, event_type, entry)
      select id, tick, late, created_at, event_type, entry from jsonb_to_recordset($1::jsonb)
        as r(id bigint, tick bigint, late boolean, created_at timestamptz, event_type text, entry jsonb) order by id
      on conflict (id) do nothing`,
    values: [JSON.stringify(records)],
  });
  return rowCount ?? 0;
}

/** So many events are read with one statement: while PostgreSQL reads the next ones, these are thought about. */
const SLICE = 128;

/**
 * Marks those of the events that still wait as applied, for a transaction that applies them.
 * @returns them by ascending id, some at a time; the rest was applied already, or never stored.
 */
export async function* takeUnapplied(
  tx: Queryable,
  ids: readonly number[],
): AsyncGenerator<readonly StoredEvent[]> {
  const sorted = [...ids].sort((a, b) => a - b);
  const taking = tx.query<{ id: string }>({
    name: 'take-unapplied',
    text: 'delete from understudy.open_event where id = any($1::bigint[]) and error is null returning id',
    values: [arrayParameter(sorted, 'bigint')],
  });
  const reading = [];
  // All are sent at once. Joined with those that are taken, the planner would look up each event by itself.
  for (let at = 0; at < sorted.length; at += SLICE)
    reading.push(
      tx.query<{ entry: EventLogEntry; tick: string; late: boolean }>({
        name: 'events-by-id',
        text: 'select entry, tick, late from understudy.event_log where id = any($1::bigint[]) order by id',
        values: [arrayParameter(sorted.slice(at, at + SLICE), 'bigint')],
      }),
    );
  // Whoever awaits them hears of a failure.
  for (const slice of reading) slice.catch(() => {});
  const waited = new Set((await taking).rows.map(({ id }) => Number(id)));
  for (const slice of reading) {
    const { rows } = await slice;
    yield rows
      .filter(({ entry }) => waited.has(entry.id))
      .map((row) => ({ entry: row.entry, tick: Number(row.tick), late: row.late }));
  }
}

/** Events of a stretch of the log, both ends belonging to it, that were applied, by ascending id. */
export async function appliedEvents(
  q: Queryable,
  fromId: number,
  toId: number,
): Promise<readonly StoredEvent[]> {
  const { rows } = await q.query<{ entry: EventLogEntry; tick: string; late: boolean }>(
    `select entry, tick, late from understudy.event_log e
     where id between $1 and $2 and not exists (select from understudy.open_event o where o.id = e.id) order by id`,
    [fromId, toId],
  );
  return rows.map((row) => ({ entry: row.entry, tick: Number(row.tick), late: row.late }));
}

/** Puts an event aside with what was wrong with it; the stream goes on. */
export async function parkEvent(tx: Queryable, id: number, error: string): Promise<void> {
  await tx.query('update understudy.open_event set error = $2 where id = $1', [id, error]);
}

/** Stored events above an id that wait longer than `olderThanMs`, lowest ids first: their job was lost, or is slow. */
export async function unappliedEvents(
  q: Queryable,
  olderThanMs: number,
  afterId: number,
  limit: number,
): Promise<readonly StoredEvent[]> {
  const { rows } = await q.query<{ entry: EventLogEntry; tick: string; late: boolean }>(
    `select e.entry, e.tick, e.late from understudy.open_event o join understudy.event_log e on e.id = o.id
     where o.error is null and o.id > $2
       and o.stored_at <= now() - make_interval(secs => $1::double precision / 1000)
     order by o.id limit $3`,
    [olderThanMs, afterId, limit],
  );
  return rows.map((row) => ({ entry: row.entry, tick: Number(row.tick), late: row.late }));
}

/** Lets parked events be applied again. @returns how many there were. */
export async function retryParked(q: Queryable): Promise<number> {
  const { rowCount } = await q.query(
    `update understudy.open_event set error = null, stored_at = 'epoch' where error is not null`,
  );
  return rowCount ?? 0;
}

/**
 * The lowest id from which on the log is held without a hole, but for ids that the site lacks, too; null before following
 * began. Read after what it is to judge: the log only ever loses what is below it.
 */
export async function heldFrom(q: Queryable): Promise<number | null> {
  const { rows } = await q.query<{ held: string }>({
    name: 'held-from',
    text: `select greatest(held_from, coalesce((select min(id) from understudy.event_log), polled_through + 1)) as held
      from understudy.watermark`,
  });
  return rows[0] === undefined ? null : Number(rows[0].held);
}

/** A lock that is not had in this time is asked for again later: whoever reads the log waits behind it. */
const LOCK_TIMEOUT_MS = 2_000;

/** Forgets the whole log, however long it is. @throws the database's error when somebody reads it for too long. */
export async function clearEventLog(tx: Queryable): Promise<void> {
  await tx.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
  await tx.query('truncate understudy.event_log, understudy.open_event');
}
