import { otherSides } from '@understudy/pipeline/other-sides';
import { refreshEntities } from '@understudy/pipeline/refresh-entities';
import { onReplica, originOf, type Replica } from '@understudy/pipeline/replica';
import { and, type FilterGroup, leaf } from '@understudy/site-client/filters';
import type { Database } from '@understudy/store/database';
import { type EntityTable, entityTable } from '@understudy/store/entity-tables';
import { serveScanned } from '@understudy/store/followed-fields';
import {
  type FetchedRows,
  fetchedFields,
  mergeFetched,
  requestedFields,
} from '@understudy/store/merge/fetched';
import { mergePartial } from '@understudy/store/merge/partial';
import { vanishedCandidates } from '@understudy/store/merge/vanished';
import { requestRefresh } from '@understudy/store/refresh-requests';
import { finishChunk, type ScanChunk } from '@understudy/store/scans';
import { nextTick } from '@understudy/store/tick';

/** How many rows that a scan did not find are asked for at once. */
const VANISHED_PAGE = 200;

const SECOND_MS = 1_000;

/** The site writes times to the second: what happened within the second of a bound belongs to the span. */
const wireTime = (date: Date, seconds: -1 | 1): string =>
  `${new Date(date.getTime() + seconds * SECOND_MS).toISOString().slice(0, 19)}Z`;

/** What of the chunk's ids is asked for, or null: everything. */
function filtersOf(chunk: ScanChunk, table: EntityTable): FilterGroup | null {
  const conditions = [];
  // A type without updated_at gives no other way than to read all of it.
  if ((chunk.kind === 'interval' || chunk.kind === 'span') && table.fields.has('updated_at')) {
    if (chunk.since !== null) conditions.push(leaf('updated_at', 'greater_than', wireTime(chunk.since, -1)));
    if (chunk.until !== null) conditions.push(leaf('updated_at', 'less_than', wireTime(chunk.until, 1)));
  }
  if (chunk.projectIds !== null) {
    if (chunk.type === 'Project') conditions.push(leaf('id', 'in', ...chunk.projectIds));
    else if (table.fields.get('project')?.kind === 'link')
      conditions.push(leaf('project', 'in', ...chunk.projectIds.map((id) => ({ type: 'Project', id }))));
  }
  return conditions.length === 0 ? null : and(...conditions);
}

export interface ScanOptions {
  /** Rows in one request. */
  readonly pageSize: number;
  /** Called after each page with the number of its rows. */
  readonly onPage: (rows: number) => Promise<void>;
}

/**
 * Scans a chunk: alive and retired rows, page by page, merged as they come. Where all rows of the range were asked for,
 * those of the replica that the site did not show are fetched whole by id and removed if it does not have them: a scan of
 * some fields removes nothing by itself. Doing it again does no harm.
 * @returns how many rows were read.
 */
export function scanChunk(replica: Replica, chunk: ScanChunk, options: ScanOptions): Promise<number> {
  return onReplica(replica, (current) => scanOnce(current, chunk, options));
}

async function scanOnce(replica: Replica, chunk: ScanChunk, options: ScanOptions): Promise<number> {
  const { db, site } = replica;
  const cached = replica.schema.types.get(chunk.type);
  if (cached === undefined) {
    await db.transaction((tx) => finishChunk(tx, chunk, 0));
    return 0;
  }
  const table = entityTable(cached);
  const fields = chunk.fields === null ? null : fieldsOf(chunk.fields, table);
  if (fields?.length === 0) {
    await finish(db, chunk, 0);
    return 0;
  }
  const filters = filtersOf(chunk, table);
  const origin = originOf(replica, 'scan');
  const startTick = await nextTick(db.pool);
  const seenIds: number[] = [];
  for (const returnOnly of ['active', 'retired'] as const) {
    let tick = await nextTick(db.pool);
    const request = {
      type: chunk.type,
      fields: fields ?? requestedFields(table),
      fromId: chunk.fromId,
      toId: chunk.toId,
      returnOnly,
      pageSize: options.pageSize,
      ...(filters === null ? {} : { filters }),
    };
    for await (const page of site.readAllById(request, { priority: 'scan' })) {
      const rows = page.results.map((row) => ({ row, active: returnOnly === 'active' }));
      const fetched = { tick, siteTime: page.siteTime, rows, origin };
      if (fields === null) await mergeWhole(replica, chunk, table, fetched);
      else await mergeFields(replica, table, fetched, fields);
      for (const { row } of rows) seenIds.push(row.id);
      await options.onPage(rows.length);
      // The generator sends the next request only when it is asked for the next page.
      tick = await nextTick(db.pool);
    }
  }
  if (filters === null) {
    const range = { fromId: chunk.fromId, toId: chunk.toId, seenIds, tick: startTick };
    const gone = await vanishedCandidates(db.pool, table, range);
    for (let at = 0; at < gone.length; at += VANISHED_PAGE) {
      await refreshEntities(replica, chunk.type, gone.slice(at, at + VANISHED_PAGE), 'scan', 'scan');
    }
  }
  await finish(db, chunk, seenIds.length);
  return seenIds.length;
}

/** Those of the fields that are kept now: what is followed no longer is served by no scan that was planned before. */
function fieldsOf(wanted: readonly string[], table: EntityTable): readonly string[] {
  const kept = new Set(fetchedFields(table));
  return wanted.filter((name) => kept.has(name));
}

async function mergeWhole(
  { db, schema }: Replica,
  { kind }: ScanChunk,
  table: EntityTable,
  fetched: FetchedRows,
): Promise<void> {
  await db.transaction(async (tx) => {
    // A full scan reads both sides of every link.
    const doubtful = kind === 'full' ? [] : await otherSides(tx, schema, table, fetched);
    await mergeFetched(tx, table, fetched);
    await requestRefresh(tx, doubtful);
  });
}

/** Merges some fields of rows; a row that is not here is fetched whole. */
async function mergeFields(
  replica: Replica,
  table: EntityTable,
  fetched: FetchedRows,
  fields: readonly string[],
): Promise<void> {
  const missing = await replica.db.transaction((tx) => mergePartial(tx, table, { ...fetched, fields }));
  await refreshEntities(replica, table.type, missing, 'scan', 'scan');
}

async function finish(db: Database, chunk: ScanChunk, rowCount: number): Promise<void> {
  await db.transaction(async (tx) => {
    await finishChunk(tx, chunk, rowCount);
    if (chunk.kind === 'full' || chunk.kind === 'fields') await serveScanned(tx, chunk.scanId, chunk.type);
  });
}
