import type { EntityRef, Json } from '@understudy/domain/entity';
import type { Database, Queryable } from './database.ts';
import type { Source } from './merge/origin.ts';
import { underMigrationLock } from './migrate.ts';
import { databaseTime } from './site-schema.ts';

const WEEK_MS = 7 * 24 * 60 * 60_000;
const DAY_MS = WEEK_MS / 7;
/** 1970-01-05 was a Monday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;
/** Weeks that there is room for ahead of time: services that nobody restarts make more long before they are needed. */
const WEEKS_AHEAD = 6;

/** The data-update log tells of every change in this span. */
export interface UpdateLogSpan {
  /** False where it is switched off: what happens now is not told. */
  readonly logged: boolean;
  readonly since: Date;
  readonly sinceTick: number;
}

/**
 * Makes partitions of the data-update log for this week and some to come, and begins its span where it was switched on
 * since the last time. Safe to call from every process at start.
 */
export async function prepareUpdateLog(db: Database): Promise<void> {
  await makePartitions(db, await databaseTime(db.pool));
  await db.pool.query(
    `insert into understudy.data_update_span as s (logged, since, since_tick) values ($1, now(), nextval('understudy.tick'))
     on conflict (single) do update set logged = excluded.logged, since = excluded.since,
       since_tick = excluded.since_tick where s.logged <> excluded.logged`,
    [db.logsUpdates],
  );
}

/**
 * Makes room ahead, and forgets what is older than `keepDays`, a week at a time.
 * @param at default: now by PostgreSQL's clock, which dates the log; what a wrong clock of a process had dropped would be gone.
 * @returns how many weeks were dropped.
 */
export async function keepUpdateLog(db: Database, keepDays: number, at?: Date): Promise<number> {
  const now = at ?? (await databaseTime(db.pool));
  await makePartitions(db, now);
  let dropped = 0;
  for (const { name, endsAt } of await partitions(db.pool)) {
    if (endsAt.getTime() > now.getTime() - keepDays * DAY_MS) continue;
    await db.transaction(async (tx) => {
      await tx.query(
        `update understudy.data_update_span set since = greatest(since, $1),
           since_tick = greatest(since_tick, (select max(tick) from understudy.${name}))`,
        [endsAt],
      );
      await tx.query(`drop table understudy.${name}`);
    });
    dropped += 1;
  }
  return dropped;
}

const PARTITION = /^data_update_(\d{4})_(\d{2})_(\d{2})$/;

async function partitions(
  q: Queryable,
): Promise<readonly { readonly name: string; readonly endsAt: Date }[]> {
  const { rows } = await q.query<{ name: string }>(
    `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'understudy.data_update'::regclass order by c.relname`,
  );
  return rows.flatMap(({ name }) => {
    const match = PARTITION.exec(name);
    if (match === null) return [];
    const startsAt = Date.parse(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`);
    return [{ name, endsAt: new Date(startsAt + WEEK_MS) }];
  });
}

async function makePartitions(db: Database, now: Date): Promise<void> {
  const known = new Set((await partitions(db.pool)).map(({ name }) => name));
  const thisWeek = Math.floor((now.getTime() - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS;
  for (let week = 0; week <= WEEKS_AHEAD; week += 1) {
    const from = new Date(thisWeek + week * WEEK_MS).toISOString();
    const to = new Date(thisWeek + (week + 1) * WEEK_MS).toISOString();
    const name = `data_update_${from.slice(0, 10).replaceAll('-', '_')}`;
    if (known.has(name)) continue;
    await underMigrationLock(db, () =>
      db.transaction(async (tx) => {
        const { rows } = await tx.query<{ made: string | null }>('select to_regclass($1) as made', [
          `understudy.${name}`,
        ]);
        if (rows[0]?.made != null) return;
        await tx.query(
          `create table understudy.${name} (like understudy.data_update including defaults including storage)`,
        );
        // What came while there was no room for it.
        await tx.query(`with moved as (delete from understudy.data_update_other
            where at >= '${from}' and at < '${to}' returning *)
          insert into understudy.${name} select * from moved`);
        await tx.query(
          `alter table understudy.data_update attach partition understudy.${name} for values from ('${from}') to ('${to}')`,
        );
      }),
    );
  }
}

/** @returns null before the replica was first prepared. */
export async function readUpdateLogSpan(q: Queryable): Promise<UpdateLogSpan | null> {
  const { rows } = await q.query<{ logged: boolean; since: Date; since_tick: string }>(
    'select logged, since, since_tick from understudy.data_update_span',
  );
  const [row] = rows;
  return row === undefined
    ? null
    : { logged: row.logged, since: row.since, sinceTick: Number(row.since_tick) };
}

/** One change of the data-update log. */
export interface LoggedUpdate {
  /** Place of its entry in the log; what was told of an entity at once has the same. */
  readonly seq: number;
  readonly at: Date;
  readonly tick: number;
  readonly field: string;
  readonly old: Json;
  readonly new: Json;
  readonly source: Source;
  readonly eventId: number | null;
  readonly user: EntityRef | null;
}

/** What happened to one entity, oldest first. */
export async function readHistory(
  q: Queryable,
  ref: EntityRef,
  options: { readonly field?: string; readonly since?: Date; readonly limit: number },
): Promise<readonly LoggedUpdate[]> {
  const { rows } = await q.query<{
    seq: string;
    at: Date;
    tick: string;
    field: string;
    old: Json;
    new: Json;
    source: Source;
    event_id: string | null;
    user_type: string | null;
    user_id: string | null;
  }>(
    `select * from (
       select seq, part, at, tick, field, old, new, source, event_id, user_type, user_id from understudy.updates_of($1, $2)
       where ($3::text is null or field = $3) and ($4::timestamptz is null or at >= $4)
       order by seq desc, part desc limit $5) newest
     order by seq, part`,
    [ref.type, ref.id, options.field ?? null, options.since ?? null, options.limit],
  );
  return rows.map((row) => ({
    seq: Number(row.seq),
    at: row.at,
    tick: Number(row.tick),
    field: row.field,
    old: row.old,
    new: row.new,
    source: row.source,
    eventId: row.event_id === null ? null : Number(row.event_id),
    user: row.user_type === null ? null : { type: row.user_type, id: Number(row.user_id) },
  }));
}
