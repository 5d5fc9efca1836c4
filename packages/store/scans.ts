import type { Queryable } from './database.ts';

/**
 * `full`: every row of a type; `fields`: some fields of every row; `interval` and `span`: rows that changed in a time.
 */
export type ScanKind = 'full' | 'fields' | 'interval' | 'span';

export interface ScanChunk {
  readonly id: number;
  readonly scanId: number;
  readonly kind: ScanKind;
  readonly type: string;
  readonly fromId: number;
  readonly toId: number;
  readonly since: Date | null;
  readonly until: Date | null;
  /** Fields that are fetched; null: every one that is followed. */
  readonly fields: readonly string[] | null;
  /** Only entities of these projects; null: all. */
  readonly projectIds: readonly number[] | null;
}

export interface NewScan {
  readonly kind: ScanKind;
  readonly reason: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly projectIds?: readonly number[];
}

export interface NewChunk {
  readonly type: string;
  /** Fields to fetch, for a scan of fields. */
  readonly fields?: readonly string[];
  readonly fromId: number;
  readonly toId: number;
}

/** Records a scan and its chunks. @returns its id. */
export async function createScan(tx: Queryable, scan: NewScan, chunks: readonly NewChunk[]): Promise<number> {
  const { rows } = await tx.query<{ id: string }>(
    `insert into understudy.scan (kind, reason, since, until, project_ids, epoch)
     values ($1, $2, $3, $4, $5, (select epoch from understudy.schema_state)) returning id`,
    [scan.kind, scan.reason, scan.since ?? null, scan.until ?? null, scan.projectIds ?? null],
  );
  const id = Number(rows[0]?.id);
  await tx.query(
    `insert into understudy.scan_chunk (scan_id, entity_type, from_id, to_id, fields)
     select $1, type, "fromId", "toId", fields
     from jsonb_to_recordset($2::jsonb) as r(type text, "fromId" bigint, "toId" bigint, fields text[])`,
    [id, JSON.stringify(chunks)],
  );
  return id;
}

interface ChunkRow {
  readonly id: string;
  readonly scan_id: string;
  readonly kind: ScanKind;
  readonly entity_type: string;
  readonly from_id: string;
  readonly to_id: string;
  readonly since: Date | null;
  readonly until: Date | null;
  readonly fields: readonly string[] | null;
  readonly project_ids: readonly string[] | null;
}

const CHUNK_COLUMNS =
  'c.id, c.scan_id, s.kind, c.entity_type, c.from_id, c.to_id, s.since, s.until, c.fields, s.project_ids';

function chunkFrom(row: ChunkRow): ScanChunk {
  return {
    id: Number(row.id),
    scanId: Number(row.scan_id),
    kind: row.kind,
    type: row.entity_type,
    fromId: Number(row.from_id),
    toId: Number(row.to_id),
    since: row.since,
    until: row.until,
    fields: row.fields,
    projectIds: row.project_ids?.map(Number) ?? null,
  };
}

/** Takes a chunk for `ttlMs`. @returns null when it is done or somebody works on it. */
export async function claimChunk(q: Queryable, id: number, ttlMs: number): Promise<ScanChunk | null> {
  const { rows } = await q.query<ChunkRow>(
    `update understudy.scan_chunk c set claimed_until = now() + make_interval(secs => $2::double precision / 1000),
       attempts = attempts + 1
     from understudy.scan s
     where c.id = $1 and s.id = c.scan_id and c.state = 'open' and (c.claimed_until is null or c.claimed_until < now())
     returning ${CHUNK_COLUMNS}`,
    [id, ttlMs],
  );
  return rows[0] === undefined ? null : chunkFrom(rows[0]);
}

/** Records that a chunk is done, and its scan with its last one. @returns whether the scan is finished by it. */
export async function finishChunk(tx: Queryable, chunk: ScanChunk, rowCount: number): Promise<boolean> {
  await tx.query('select from understudy.scan where id = $1 for update', [chunk.scanId]);
  await tx.query(
    `update understudy.scan_chunk set state = 'done', row_count = $2, error = null, claimed_until = null where id = $1`,
    [chunk.id, rowCount],
  );
  const { rowCount: finished } = await tx.query(
    `update understudy.scan set finished_at = now() where id = $1 and finished_at is null
       and not exists (select from understudy.scan_chunk where scan_id = $1 and state = 'open')`,
    [chunk.scanId],
  );
  return finished === 1;
}

/** Gives a chunk back after a failure; it is tried again. */
export async function failChunk(q: Queryable, id: number, error: string): Promise<void> {
  await q.query('update understudy.scan_chunk set claimed_until = null, error = $2 where id = $1', [
    id,
    error,
  ]);
}

/** Chunks that nobody works on: of spans and intervals first, which are short, then oldest first. */
export async function openChunks(q: Queryable, limit: number): Promise<readonly ScanChunk[]> {
  const { rows } = await q.query<ChunkRow>(
    `select ${CHUNK_COLUMNS} from understudy.scan_chunk c join understudy.scan s on s.id = c.scan_id
     where c.state = 'open' and (c.claimed_until is null or c.claimed_until < now())
     order by s.kind in ('full', 'fields'), c.attempts >= ${POISON_ATTEMPTS}, c.id limit $1`,
    [limit],
  );
  return rows.map(chunkFrom);
}

/** A chunk that failed this often holds nobody up any more; it is still tried. */
const POISON_ATTEMPTS = 20;

/** Whether a scan of a kind is under way; one of which only chunks are left that fail again and again is not. */
export async function hasOpenScan(q: Queryable, kind: ScanKind): Promise<boolean> {
  const { rowCount } = await q.query(
    `select from understudy.scan s where s.kind = $1 and s.finished_at is null and exists (
       select from understudy.scan_chunk c
       where c.scan_id = s.id and c.state = 'open' and c.attempts < ${POISON_ATTEMPTS}) limit 1`,
    [kind],
  );
  return rowCount !== 0;
}

/** When the newest finished scan of a kind began. */
export async function lastScanAt(q: Queryable, kind: ScanKind): Promise<Date | null> {
  const { rows } = await q.query<{ at: Date }>(
    `select created_at as at from understudy.scan
     where kind = $1 and finished_at is not null and created_at <= now() order by id desc limit 1`,
    [kind],
  );
  return rows[0]?.at ?? null;
}

/** When the oldest finished scan of a kind began. */
export async function firstScanAt(q: Queryable, kind: ScanKind): Promise<Date | null> {
  const { rows } = await q.query<{ at: Date | null }>(
    `select min(created_at) as at from understudy.scan
     where kind = $1 and finished_at is not null and created_at <= now()`,
    [kind],
  );
  return rows[0]?.at ?? null;
}

/** When the newest finished scan began that read all rows of a type that has no time of its last change, by type. */
export async function wholeReadAt(q: Queryable): Promise<ReadonlyMap<string, Date>> {
  const { rows } = await q.query<{ entity_type: string; at: Date }>(
    `select c.entity_type, max(s.created_at) as at
     from understudy.scan s join understudy.scan_chunk c on c.scan_id = s.id
     where s.kind in ('full', 'interval') and s.finished_at is not null and s.project_ids is null
       and s.created_at <= now()
     group by 1`,
  );
  return new Map(rows.map((row) => [row.entity_type, row.at]));
}

/** Keeps a chunk for `ttlMs` more: its worker makes progress. */
export async function extendChunk(q: Queryable, id: number, ttlMs: number): Promise<void> {
  await q.query(
    `update understudy.scan_chunk set claimed_until = now() + make_interval(secs => $2::double precision / 1000) where id = $1`,
    [id, ttlMs],
  );
}

/** How far a scan is. */
export interface ScanProgress {
  readonly chunks: number;
  readonly chunksDone: number;
  readonly rows: number;
  readonly finished: boolean;
  /** Of chunks that failed and are tried again. */
  readonly errors: readonly string[];
}

/** @returns null for a scan that does not exist, or no longer does. */
export async function scanProgress(q: Queryable, id: number): Promise<ScanProgress | null> {
  const { rows } = await q.query<{
    finished_at: Date | null;
    chunks: string;
    done: string;
    rows: string;
    errors: string[] | null;
  }>(
    `select s.finished_at, count(c.id) as chunks, count(*) filter (where c.state = 'done') as done,
       coalesce(sum(c.row_count), 0) as rows,
       array_agg(distinct c.error) filter (where c.error is not null) as errors
     from understudy.scan s left join understudy.scan_chunk c on c.scan_id = s.id where s.id = $1 group by s.id`,
    [id],
  );
  const [row] = rows;
  if (row === undefined) return null;
  return {
    chunks: Number(row.chunks),
    chunksDone: Number(row.done),
    rows: Number(row.rows),
    finished: row.finished_at !== null,
    errors: row.errors ?? [],
  };
}
