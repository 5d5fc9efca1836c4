import type { EntityRef } from '@understudy/domain/entity';
import type { EventLogEntry } from '@understudy/domain/event';
import type { Queryable } from './database.ts';

export type EventState = 'stored' | 'applied' | 'parked';

/** An event with what became of it. */
export interface FoundEvent {
  readonly entry: EventLogEntry;
  readonly tick: number;
  readonly state: EventState;
  /** Its id filled a gap: it came out of order. */
  readonly late: boolean;
  /** Why it is parked. */
  readonly error: string | null;
  readonly storedAt: Date;
}

export interface EventSearch {
  /** Exact, or with `*` for anything. */
  readonly eventType?: string;
  /** What the event is about. */
  readonly entity?: EntityRef;
  readonly state?: EventState;
  readonly limit: number;
}

interface EventRow {
  readonly entry: EventLogEntry;
  readonly tick: string;
  readonly state: EventState;
  readonly late: boolean;
  readonly error: string | null;
  readonly stored_at: Date;
}

/** The log, and beside each entry what is open of it. */
const LOG = `(select e.id, e.event_type, e.entry, e.tick, e.late, e.stored_at, o.error,
    case when o.id is null then 'applied' when o.error is null then 'stored' else 'parked' end as state
  from understudy.event_log e left join understudy.open_event o on o.id = e.id) log`;
const COLUMNS = 'entry, tick, state, late, error, stored_at';
/** What is open is found by its own table. */
const STATES: Readonly<Record<EventState, string>> = {
  stored: `state = 'stored' and id in (select id from understudy.open_event where error is null)`,
  applied: `state = 'applied'`,
  parked: `state = 'parked' and id in (select id from understudy.open_event where error is not null)`,
};
/** How far below the newest id an event that came late may lie and still be followed. */
const LATE_WINDOW = 50_000;

const foundFrom = (row: EventRow): FoundEvent => ({
  entry: row.entry,
  tick: Number(row.tick),
  state: row.state,
  late: row.late,
  error: row.error,
  storedAt: row.stored_at,
});

/** The conditions of a search and their parameters, numbered after those that are there already. */
function conditionsOf(search: EventSearch, params: unknown[]): string {
  const add = (value: unknown): string => `$${params.push(value)}`;
  const conditions = ['true'];
  if (search.state !== undefined) conditions.push(STATES[search.state]);
  if (search.eventType !== undefined) {
    const pattern = search.eventType.replaceAll(/[\\%_]/g, '\\$&').replaceAll('*', '%');
    conditions.push(`event_type like ${add(pattern)}`);
  }
  if (search.entity !== undefined) {
    const [type, id] = [add(search.entity.type), add(search.entity.id)];
    // The link is gone once the entity is retired, meta stays; of a back-reference meta names the other side. Written as
    // the index `event_log_entity` is.
    conditions.push(`coalesce(entry #>> '{entity,type}', entry #>> '{meta,entity_type}') = ${type}
      and coalesce(entry #>> '{entity,id}', entry #>> '{meta,entity_id}') = ${id}::text
      and (entry #>> '{entity,id}' is not null or entry #>> '{meta,actual_attribute_changed}' is null)`);
  }
  return conditions.join(' and ');
}

/** Events from an id on, lowest first. */
export async function eventsFrom(
  q: Queryable,
  id: number,
  search: EventSearch,
): Promise<readonly FoundEvent[]> {
  const params: unknown[] = [id, search.limit];
  const { rows } = await q.query<EventRow>(
    `select ${COLUMNS} from ${LOG} where id >= $1 and ${conditionsOf(search, params)} order by id limit $2`,
    params,
  );
  return rows.map(foundFrom);
}

/** The newest events, lowest first. */
export async function newestEvents(q: Queryable, search: EventSearch): Promise<readonly FoundEvent[]> {
  const params: unknown[] = [search.limit];
  const { rows } = await q.query<EventRow>(
    `select ${COLUMNS} from ${LOG} where ${conditionsOf(search, params)} order by id desc limit $1`,
    params,
  );
  return rows.map(foundFrom).reverse();
}

/** The reading of the clock at the event that was stored last; 0 if none was. */
export async function lastEventTick(q: Queryable): Promise<number> {
  const { rows } = await q.query<{ tick: string | null }>(
    `select max(tick) as tick from understudy.event_log
     where id > (select coalesce(max(id), 0) from understudy.event_log) - ${LATE_WINDOW}`,
  );
  return Number(rows[0]?.tick ?? 0);
}

/** Events stored after a reading of the clock, in that order: those that came late are among them. */
export async function eventsStoredAfter(
  q: Queryable,
  tick: number,
  search: EventSearch,
): Promise<readonly FoundEvent[]> {
  const params: unknown[] = [tick, search.limit];
  const { rows } = await q.query<EventRow>(
    `select ${COLUMNS} from ${LOG}
     where id > (select coalesce(max(id), 0) from understudy.event_log) - ${LATE_WINDOW} and tick > $1
       and ${conditionsOf(search, params)} order by tick limit $2`,
    params,
  );
  return rows.map(foundFrom);
}
