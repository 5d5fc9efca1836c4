import type { ByPriority } from '@understudy/site-client/budget';
import { NONE } from '@understudy/site-client/budget';
import type pg from 'pg';
import { allocate } from './allocate.ts';
import { refill, take } from './rate.ts';

/** What a process asks for when it renews its share. */
export interface ShareRequest {
  readonly holder: string;
  readonly concurrency: number;
  readonly ratePerSecond: number;
  readonly leaseMs: number;
  readonly spare: number;
  readonly wants: ByPriority;
  /** Requests under way: their places cannot be given to others yet. */
  readonly inUse: number;
  /** Starts that it could use. */
  readonly starts: ByPriority;
  /** Starts of before that it did not use. */
  readonly returned: number;
}

/** What it may do until its lease ends. */
export interface Share {
  readonly places: number;
  readonly starts: ByPriority;
  /** How many processes share the budget now. */
  readonly holders: number;
}

/** Any number that nobody else uses for an advisory lock in this database. */
const BUDGET_LOCK = 4_930_119;

interface ShareRow {
  readonly holder: string;
  readonly places: number;
  readonly wants: ByPriority;
  readonly spare: number;
}

/**
 * Renews a share: one process at a time looks at what all need and takes its part of it, but never more than the others
 * leave; who has more than its part now gives it back when it renews its own.
 */
export async function renewShare(pool: pg.Pool, request: ShareRequest): Promise<Share> {
  const client = await pool.connect();
  let broken = true;
  try {
    const answers = (await client.query(
      `begin; select pg_advisory_xact_lock(${BUDGET_LOCK});
       delete from understudy.request_share where expires_at < clock_timestamp();
       select holder, places, wants, spare from understudy.request_share order by holder;
       select starts, extract(epoch from at) * 1000 as at, extract(epoch from clock_timestamp()) * 1000 as now
       from (select 1) one left join understudy.request_rate on true`,
    )) as unknown as readonly [
      unknown,
      unknown,
      unknown,
      pg.QueryResult<ShareRow>,
      pg.QueryResult<{ starts: number | null; at: string | null; now: string }>,
    ];
    const others = answers[3].rows.filter((row) => row.holder !== request.holder);
    const demands = [...others, request].sort((a, b) => (a.holder < b.holder ? -1 : 1));
    const part = allocate(request.concurrency, demands).get(request.holder) ?? 0;
    const left = request.concurrency - others.reduce((sum, row) => sum + row.places, 0);
    const places = Math.max(0, Math.min(part, left));
    // What is under way keeps its place until it ends, though no new request takes it.
    const held = Math.max(places, Math.min(request.inUse, request.concurrency));
    const starts = await takeStarts(client, request, answers[4].rows[0]);
    await client.query(
      `insert into understudy.request_share (holder, places, wants, spare, expires_at)
       values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5::double precision / 1000))
       on conflict (holder) do update set places = excluded.places, wants = excluded.wants, spare = excluded.spare,
         expires_at = excluded.expires_at`,
      [request.holder, held, JSON.stringify(request.wants), request.spare, request.leaseMs],
    );
    await client.query('commit');
    broken = false;
    return { places, starts, holders: demands.length };
  } finally {
    // A connection with an open transaction is closed, and the transaction with it.
    client.release(broken);
  }
}

async function takeStarts(
  client: pg.PoolClient,
  request: ShareRequest,
  row: { readonly starts: number | null; readonly at: string | null; readonly now: string } | undefined,
): Promise<ByPriority> {
  if (request.ratePerSecond === 0 || row === undefined) return NONE;
  const now = Number(row.now);
  const before = { starts: row.starts ?? request.ratePerSecond, at: Number(row.at ?? now) };
  const filled = refill(before, request.ratePerSecond, now, request.returned);
  const { given, bucket } = take(filled, request.ratePerSecond, request.starts);
  await client.query(
    `insert into understudy.request_rate (starts, at) values ($1, to_timestamp($2::double precision / 1000))
     on conflict (single) do update set starts = excluded.starts, at = excluded.at`,
    [bucket.starts, bucket.at],
  );
  return given;
}

/** Gives a share back. */
export async function returnShare(pool: pg.Pool, holder: string): Promise<void> {
  await pool.query('delete from understudy.request_share where holder = $1', [holder]);
}
