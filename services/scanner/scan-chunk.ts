import { otherSides } from '@understudy/pipeline/other-sides';
import { refreshEntities } from '@understudy/pipeline/refresh-entities';
import { onReplica, originOf, type Replica } from '@understudy/pipeline/replica';
import { and, type FilterGroup, leaf } from '@understudy/site-client/filters';
import { type EntityTable, entityTable } from '@understudy/store/entity-tables';
import { serveScanned } from '@understudy/store/followed-fields';
import { fetchedFields, mergeFetched } from '@understudy/store/merge/fetched';
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
  if (chunk.kind !== 'full' && table.fields.has('updated_at')) {
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
 * Scans a chunk: alive and retired rows, page by page, merged as they come; in a full scan, rows of the replica that
 * the site did not show are asked for by id and removed if it does not have them. Doing it again does no harm.
 * @returns how many rows were read.
 */
export function scanChunk(replica: Replica, chunk: ScanChunk, options: ScanOptions): Promise<number> {
  return onReplica(replica, (current) => scanOnce(current, chunk, options));
}

async function scanOnce(replica: Replica, chunk: ScanChunk, options: ScanOptions): Promise<number> {
  const { db, site, schema } = replica;
  const cached = schema.types.get(chunk.type);
  if (cached === undefined) {
    await db.transaction((tx) => finishChunk(tx, chunk, 0));
    return 0;
  }
  const table = entityTable(cached);
  const filters = filtersOf(chunk, table);
  const origin = originOf(replica, 'scan');
  const startTick = await nextTick(db.pool);
  const seenIds: number[] = [];
  for (const returnOnly of ['active', 'retired'] as const) {
    let tick = await nextTick(db.pool);
    const request = {
      type: chunk.type,
      fields: fetchedFields(table),
      fromId: chunk.fromId,
      toId: chunk.toId,
      returnOnly,
      pageSize: options.pageSize,
      ...(filters === null ? {} : { filters }),
    };
    for await (const page of site.readAllById(request, { priority: 'scan' })) {
      const rows = page.results.map((row) => ({ row, active: returnOnly === 'active' }));
      const readAt = tick;
      await db.transaction(async (tx) => {
        // A full scan reads both sides of every link.
        const doubtful =
          chunk.kind === 'full' ? [] : await otherSides(tx, schema, table, { tick: readAt, rows });
        await mergeFetched(tx, table, { tick: readAt, siteTime: page.siteTime, rows, origin });
        await requestRefresh(tx, doubtful);
      });
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
  await db.transaction(async (tx) => {
    await finishChunk(tx, chunk, seenIds.length);
    if (chunk.kind === 'full') await serveScanned(tx, chunk.scanId, chunk.type);
  });
  return seenIds.length;
}
