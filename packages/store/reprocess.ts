import type { Queryable } from './database.ts';

export type ReprocessKind = 'retirement' | 'events';

/** A piece of a run. `ids`: every id of a range; `entities`: those that events named; `events`: a stretch of the log. */
export interface NewReprocessChunk {
  readonly kind: 'ids' | 'entities' | 'events';
  /** Empty for `events`. */
  readonly type: string;
  /** Entity ids, or event ids; both ends belong to it. */
  readonly fromId: number;
  readonly toId: number;
  readonly ids?: readonly number[];
}

export interface ReprocessChunk extends NewReprocessChunk {
  readonly id: number;
  readonly reprocessId: number;
}

export interface ReprocessProgress {
  readonly id: number;
  readonly kind: ReprocessKind;
  readonly reason: string;
  readonly chunks: number;
  readonly chunksDone: number;
  /** Entities or events looked at so far. */
  readonly checked: number;
  /** Entities that were not as on the site and were fetched again; of events, those applied again. */
  readonly repaired: number;
  readonly failing: number;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** Records a run and its chunks; one without chunks is finished at once. @returns its id. */
export async function createReprocess(
  tx: Queryable,
  run: { readonly kind: ReprocessKind; readonly reason: string; readonly since?: Date | null },
  chunks: readonly NewReprocessChunk[],
): Promise<number> {
  const { rows } = await tx.query<{ id: string }>(
    `insert into understudy.reprocess (kind, reason, since, finished_at)
     values ($1, $2, $3, case when $4 then now() end) returning id`,
    [run.kind, run.reason, run.since ?? null, chunks.length === 0],
  );
  const id = Number(rows[0]?.id);
  await tx.query(
    `insert into understudy.reprocess_chunk (reprocess_id, kind, entity_type, from_id, to_id, ids)
     select $1, kind, type, "fromId", "toId", ids
     from jsonb_to_recordset($2::jsonb) as r(kind text, type text, "fromId" bigint, "toId" bigint, ids bigint[])`,
    [id, JSON.stringify(chunks)],
  );
  return id;
}

interface ChunkRow {
  readonly id: string;
  readonly reprocess_id: string;
  readonly kind: NewReprocessChunk['kind'];
  readonly entity_type: string;
  readonly from_id: string;
  readonly to_id: string;
  readonly ids: readonly string[] | null;
}

const COLUMNS = 'c.id, c.reprocess_id, c.kind, c.entity_type, c.from_id, c.to_id, c.ids';

function chunkFrom(row: ChunkRow): ReprocessChunk {
  return {
    id: Number(row.id),
    reprocessId: Number(row.reprocess_id),
    kind: row.kind,
    type: row.entity_type,
    fromId: Number(row.from_id),
    toId: Number(row.to_id),
    ...(row.ids === null ? {} : { ids: row.ids.map(Number) }),
  };
}

/** Takes a chunk for `ttlMs`. @returns null when it is done or somebody works on it. */
export async function claimReprocessChunk(
  q: Queryable,
  id: number,
  ttlMs: number,
): Promise<ReprocessChunk | null> {
  const { rows } = await q.query<ChunkRow>(
    `update understudy.reprocess_chunk c
     set claimed_until = now() + make_interval(secs => $2::double precision / 1000), attempts = attempts + 1
     where c.id = $1 and c.state = 'open' and (c.claimed_until is null or c.claimed_until < now())
     returning ${COLUMNS}`,
    [id, ttlMs],
  );
  return rows[0] === undefined ? null : chunkFrom(rows[0]);
}

/** Keeps a chunk for `ttlMs` more: its worker makes progress. */
export async function extendReprocessChunk(q: Queryable, id: number, ttlMs: number): Promise<void> {
  await q.query(
    `update understudy.reprocess_chunk
     set claimed_until = now() + make_interval(secs => $2::double precision / 1000) where id = $1`,
    [id, ttlMs],
  );
}

/** Records that a chunk is done, and its run with its last one. */
export async function finishReprocessChunk(
  tx: Queryable,
  chunk: ReprocessChunk,
  done: { readonly checked: number; readonly repaired: number },
): Promise<void> {
  await tx.query('select from understudy.reprocess where id = $1 for update', [chunk.reprocessId]);
  await tx.query(
    `update understudy.reprocess_chunk
     set state = 'done', checked = $2, repaired = $3, error = null, claimed_until = null where id = $1`,
    [chunk.id, done.checked, done.repaired],
  );
  await tx.query(
    `update understudy.reprocess set finished_at = now() where id = $1 and finished_at is null
       and not exists (select from understudy.reprocess_chunk where reprocess_id = $1 and state = 'open')`,
    [chunk.reprocessId],
  );
}

/** Gives a chunk back after a failure; it is tried again. */
export async function failReprocessChunk(q: Queryable, id: number, error: string): Promise<void> {
  await q.query('update understudy.reprocess_chunk set claimed_until = null, error = $2 where id = $1', [
    id,
    error,
  ]);
}

/** Chunks that nobody works on, oldest first. */
export async function openReprocessChunks(q: Queryable, limit: number): Promise<readonly ReprocessChunk[]> {
  const { rows } = await q.query<ChunkRow>(
    `select ${COLUMNS} from understudy.reprocess_chunk c
     where c.state = 'open' and (c.claimed_until is null or c.claimed_until < now()) order by c.id limit $1`,
    [limit],
  );
  return rows.map(chunkFrom);
}

/** When the newest run of a kind began, finished or not; null if there was none. */
export async function lastReprocessAt(q: Queryable, kind: ReprocessKind): Promise<Date | null> {
  const { rows } = await q.query<{ at: Date | null }>(
    'select max(created_at) as at from understudy.reprocess where kind = $1',
    [kind],
  );
  return rows[0]?.at ?? null;
}

/** Runs that are under way and the newest finished ones, newest first; or one run. */
export async function readReprocesses(
  q: Queryable,
  options: { readonly id?: number; readonly finished?: number } = {},
): Promise<readonly ReprocessProgress[]> {
  const { rows } = await q.query<
    Record<'id' | 'chunks' | 'done' | 'checked' | 'repaired' | 'failing', string> & {
      kind: ReprocessKind;
      reason: string;
      created_at: Date;
      finished_at: Date | null;
    }
  >(
    `select r.id, r.kind, r.reason, r.created_at, r.finished_at, count(c.id) as chunks,
       count(c.id) filter (where c.state = 'done') as done, coalesce(sum(c.checked), 0) as checked,
       coalesce(sum(c.repaired), 0) as repaired, count(c.id) filter (where c.error is not null) as failing
     from understudy.reprocess r left join understudy.reprocess_chunk c on c.reprocess_id = r.id
     where ($1::bigint is null and (r.finished_at is null or r.id in (
         select id from understudy.reprocess where finished_at is not null order by id desc limit $2)))
       or r.id = $1
     group by r.id order by r.id desc`,
    [options.id ?? null, options.finished ?? 1],
  );
  return rows.map((row) => ({
    id: Number(row.id),
    kind: row.kind,
    reason: row.reason,
    chunks: Number(row.chunks),
    chunksDone: Number(row.done),
    checked: Number(row.checked),
    repaired: Number(row.repaired),
    failing: Number(row.failing),
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  }));
}
