import { type Drift, readDrift } from './audits.ts';
import type { Queryable } from './database.ts';
import { type ReprocessProgress, readReprocesses } from './reprocess.ts';
import { readWatermark, type Watermark } from './watermark.ts';

/** What `understudy status` and the dashboard show, but for the depths of queues. */
export interface StatusReport {
  readonly watermark: Watermark | null;
  readonly services: readonly {
    readonly service: string;
    readonly instance: string;
    readonly version: string;
    readonly state: string;
    /** Since its last sign of life. */
    readonly silentMs: number;
  }[];
  readonly gaps: { readonly open: number; readonly ids: number };
  readonly events: { readonly waiting: number; readonly parked: number; readonly stored: number };
  readonly refreshes: { readonly waiting: number; readonly failing: number };
  readonly scans: readonly {
    readonly id: number;
    readonly kind: string;
    readonly reason: string;
    readonly type: string;
    readonly chunks: number;
    readonly chunksDone: number;
    readonly rows: number;
  }[];
  /** The last scan of each kind that ended. */
  readonly lastScans: readonly {
    readonly kind: string;
    /** Since it ended. */
    readonly endedMs: number;
    readonly rows: number;
  }[];
  /** Runs of the retirement-reprocessor that are under way, and the newest finished one. */
  readonly reprocesses: readonly ReprocessProgress[];
  readonly drift: Drift;
  readonly servedTypes: readonly string[];
}

/** How many of a table's rows to count before giving up on an exact number. */
const COUNT_MAX = 100_000;

async function count(q: Queryable, sql: string): Promise<number> {
  const { rows } = await q.query<{ n: string }>(
    `select count(*) as n from (${sql} limit ${COUNT_MAX}) counted`,
  );
  return Number(rows[0]?.n);
}

/** Exact while they are few; beyond that PostgreSQL's estimate. */
async function storedEvents(q: Queryable): Promise<number> {
  const { rows } = await q.query<{ n: string }>(
    `select reltuples::bigint as n from pg_class where oid = 'understudy.event_log'::regclass`,
  );
  return Math.max(Number(rows[0]?.n), await count(q, 'select from understudy.event_log'));
}

/** Reads everything there is to show. */
export async function readStatus(q: Queryable): Promise<StatusReport> {
  const services = await q.query<{
    service: string;
    instance: string;
    version: string;
    state: string;
    silent: number;
  }>(
    `select service, instance, version, state, (extract(epoch from now() - seen_at) * 1000)::double precision as silent
     from understudy.service order by service, instance`,
  );
  const gaps = await q.query<{ open: string; ids: string | null }>(
    'select count(*) as open, sum(last_id - first_id + 1) as ids from understudy.gap',
  );
  const scans = await q.query<Record<'id' | 'kind' | 'reason' | 'type' | 'chunks' | 'done' | 'rows', string>>(
    `select s.id, s.kind, s.reason, c.entity_type as type, count(*) as chunks,
       count(*) filter (where c.state = 'done') as done, sum(c.row_count) as rows
     from understudy.scan s join understudy.scan_chunk c on c.scan_id = s.id
     where s.finished_at is null or s.id = (select max(id) from understudy.scan where kind = 'full')
     group by 1, 2, 3, 4 order by s.id, c.entity_type`,
  );
  const lastScans = await q.query<{ kind: string; ended: number; rows: string }>(
    `select s.kind, (extract(epoch from now() - s.finished_at) * 1000)::double precision as ended,
       (select coalesce(sum(c.row_count), 0) from understudy.scan_chunk c where c.scan_id = s.id) as rows
     from (select distinct on (kind) id, kind, finished_at from understudy.scan
       where finished_at is not null order by kind, finished_at desc) s
     order by s.kind`,
  );
  const served = await q.query<{ entity_type: string }>(
    `select entity_type from understudy.followed_field group by entity_type having bool_and(served_at is not null)
     order by 1`,
  );
  return {
    watermark: await readWatermark(q),
    services: services.rows.map(({ silent, ...service }) => ({ ...service, silentMs: silent })),
    gaps: { open: Number(gaps.rows[0]?.open ?? 0), ids: Number(gaps.rows[0]?.ids ?? 0) },
    events: {
      waiting: await count(q, 'select from understudy.open_event where error is null'),
      parked: await count(q, 'select from understudy.open_event where error is not null'),
      stored: await storedEvents(q),
    },
    refreshes: {
      waiting: await count(q, 'select from understudy.refresh_request'),
      failing: await count(q, 'select from understudy.refresh_request where attempts > 0'),
    },
    scans: scans.rows.map((row) => ({
      id: Number(row.id),
      kind: row.kind,
      reason: row.reason,
      type: row.type,
      chunks: Number(row.chunks),
      chunksDone: Number(row.done),
      rows: Number(row.rows),
    })),
    lastScans: lastScans.rows.map(({ kind, ended, rows }) => ({ kind, endedMs: ended, rows: Number(rows) })),
    reprocesses: await readReprocesses(q),
    drift: await readDrift(q),
    servedTypes: served.rows.map((row) => row.entity_type),
  };
}
