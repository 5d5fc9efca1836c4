import type { EntityRef } from '@understudy/domain/entity';
import type { Queryable } from './database.ts';

/** An entity whose state is in doubt. */
export interface RefreshRequest extends EntityRef {
  readonly reason: string;
  /** Whether what links to it is in doubt as well: it was revived, and its links with it. */
  readonly linkers?: boolean;
  /** Whether it was written through a reader: until it is fetched, the replica lacks what its writer was told. */
  readonly written?: boolean;
}

/** Asks for entities to be fetched. One request an entity; asking again renews it. */
export async function requestRefresh(tx: Queryable, requests: readonly RefreshRequest[]): Promise<void> {
  if (requests.length === 0) return;
  const unique = new Map<string, RefreshRequest>();
  for (const request of requests) {
    const key = `${request.type}:${request.id}`;
    const linkers = request.linkers === true || unique.get(key)?.linkers === true;
    const written = request.written === true || unique.get(key)?.written === true;
    unique.set(key, { ...request, linkers, written });
  }
  await tx.query({
    name: 'request-refresh',
    text: `insert into understudy.refresh_request as t (entity_type, entity_id, linkers, reason, tick, written_at)
      select type, id, linkers, reason, nextval('understudy.tick'), case when written then now() end
      from jsonb_to_recordset($1::jsonb) as r(type text, id bigint, linkers boolean, reason text, written boolean)
      order by type collate "C", id
      on conflict (entity_type, entity_id) do update set
        tick = excluded.tick, reason = excluded.reason, linkers = t.linkers or excluded.linkers,
        written_at = coalesce(excluded.written_at, t.written_at),
        attempts = 0, error = null, not_before = now()`,
    values: [JSON.stringify([...unique.values()])],
  });
}

/**
 * How long an entity that was written but cannot be fetched keeps readers from answering. By then the event log has told
 * of the write; whatever still fails to be fetched must not keep the replica from being read.
 */
const WRITTEN_COUNTS_FOR = '5 minutes';

/** @returns whether a write was answered that is not in the replica yet. */
export async function hasUnmergedWrites(q: Queryable): Promise<boolean> {
  const { rows } = await q.query<{ open: boolean }>({
    name: 'has-unmerged-writes',
    text: `select exists (select from understudy.refresh_request
      where written_at > now() - interval '${WRITTEN_COUNTS_FOR}') as open`,
  });
  return rows[0]?.open === true;
}

/** The oldest requests of a type that are due. They stay until `completeRefresh`. */
export async function dueRefreshes(
  q: Queryable,
  type: string,
  limit: number,
): Promise<readonly { readonly id: number; readonly linkers: boolean }[]> {
  const { rows } = await q.query<{ entity_id: string; linkers: boolean }>(
    `select entity_id, linkers from understudy.refresh_request
     where entity_type = $1 and not_before <= now() order by tick limit $2`,
    [type, limit],
  );
  return rows.map((row) => ({ id: Number(row.entity_id), linkers: row.linkers }));
}

/** Entities of which everything that links to them was fetched, and the tick that was taken before. */
export interface FetchedLinkers {
  readonly ids: readonly number[];
  readonly tick: number;
}

/**
 * Ends the requests that a fetch answered: those made before the fetch took its tick, and, where what links to the entity
 * was asked for, before that was fetched.
 */
export async function completeRefresh(
  tx: Queryable,
  type: string,
  ids: readonly number[],
  fetchTick: number,
  linkers: FetchedLinkers | null = null,
): Promise<void> {
  await tx.query(
    `delete from understudy.refresh_request where entity_type = $1 and entity_id = any($2::bigint[]) and tick < $3
       and (not linkers or (entity_id = any($4::bigint[]) and tick < $5))`,
    [type, ids, fetchTick, linkers?.ids ?? [], linkers?.tick ?? 0],
  );
}

/** Puts requests off after a failure, longer each time. */
export async function failRefresh(
  q: Queryable,
  type: string,
  ids: readonly number[],
  error: string,
): Promise<void> {
  await q.query(
    `update understudy.refresh_request set attempts = attempts + 1, error = $3,
       not_before = now() + least(interval '60 seconds', interval '0.5 second' * power(2, least(attempts, 10)))
     where entity_type = $1 and entity_id = any($2::bigint[])`,
    [type, ids, error],
  );
}

/** Types with requests that are due. */
export async function dueRefreshTypes(q: Queryable): Promise<readonly string[]> {
  const { rows } = await q.query<{ entity_type: string }>(
    'select distinct entity_type from understudy.refresh_request where not_before <= now()',
  );
  return rows.map((row) => row.entity_type);
}

/** Whether one of the entities waits to be fetched, and its fetch has not failed yet. */
export async function isRefreshPending(q: Queryable, type: string, ids: readonly number[]): Promise<boolean> {
  const { rowCount } = await q.query(
    `select from understudy.refresh_request
     where entity_type = $1 and entity_id = any($2::bigint[]) and attempts = 0 limit 1`,
    [type, ids],
  );
  return rowCount !== 0;
}
