import type { Priority } from '@understudy/site-client/budget';
import { createScan, type NewChunk, type ScanKind } from '@understudy/store/scans';
import type { Replica } from './replica.ts';

/** The highest id the site has used for a type, alive or retired; 0 if none. */
export async function highestId(replica: Replica, type: string, priority: Priority): Promise<number> {
  let highest = 0;
  for (const returnOnly of ['active', 'retired'] as const) {
    const { results } = await replica.site.read(
      { type, fields: ['id'], returnOnly, sorts: [{ field_name: 'id', direction: 'desc' }], pageSize: 1 },
      { priority },
    );
    highest = Math.max(highest, results[0]?.id ?? 0);
  }
  return highest;
}

/** Chunks of all ids of some types, alive or retired. @throws SiteUnavailable */
async function chunksOf(
  replica: Replica,
  types: Iterable<readonly [type: string, fields: readonly string[] | null]>,
  chunkSize: number,
): Promise<readonly NewChunk[]> {
  const chunks: NewChunk[] = [];
  for (const [type, fields] of types) {
    const highest = await highestId(replica, type, 'scan');
    for (let fromId = 1; fromId <= Math.max(highest, 1); fromId += chunkSize) {
      const range = { type, fromId, toId: fromId + chunkSize - 1 };
      chunks.push(fields === null ? range : { ...range, fields });
    }
  }
  return chunks;
}

/**
 * Plans a full scan: types × id ranges.
 * @returns the scan's id. @throws SiteUnavailable
 */
export async function planFullScan(
  replica: Replica,
  options: {
    readonly types: readonly string[];
    readonly chunkSize: number;
    readonly reason: string;
    /** Only entities of these projects; such a scan finds nothing that vanished. */
    readonly projectIds?: readonly number[];
  },
): Promise<number> {
  const whole = options.types.map((type) => [type, null] as const);
  const chunks = await chunksOf(replica, whole, options.chunkSize);
  const { reason, projectIds } = options;
  const scan = { kind: 'full' as const, reason, ...(projectIds === undefined ? {} : { projectIds }) };
  return replica.db.transaction((tx) => createScan(tx, scan, chunks));
}

/**
 * Plans a scan of some fields of types whose rows are all here: what else is known of them stays as it is.
 * @param options.fields type → its fields. @returns the scan's id. @throws SiteUnavailable
 */
export async function planFieldScan(
  replica: Replica,
  options: {
    readonly fields: ReadonlyMap<string, readonly string[]>;
    readonly chunkSize: number;
    readonly reason: string;
  },
): Promise<number> {
  const chunks = await chunksOf(replica, options.fields, options.chunkSize);
  return replica.db.transaction((tx) => createScan(tx, { kind: 'fields', reason: options.reason }, chunks));
}

/** Plans a scan of what changed since (and until) a time: one chunk for each type. @returns the scan's id. */
export async function planTimeScan(
  replica: Replica,
  options: {
    readonly kind: Extract<ScanKind, 'interval' | 'span'>;
    readonly types: readonly string[];
    readonly since: Date;
    readonly until?: Date;
    readonly reason: string;
    readonly projectIds?: readonly number[];
  },
): Promise<number> {
  const chunks = options.types.map((type) => ({ type, fromId: 1, toId: Number.MAX_SAFE_INTEGER }));
  return replica.db.transaction((tx) => createScan(tx, options, chunks));
}
