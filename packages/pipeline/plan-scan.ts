import { createHash } from 'node:crypto';
import type { CachedType } from '@understudy/schema/cached-schema';
import type { Priority } from '@understudy/site-client/budget';
import { createScan, type NewChunk, type ScanKind } from '@understudy/store/scans';
import type { Replica } from './replica.ts';

/** Equal for types with the same cached fields: a type is served while it was scanned with the fields it has now. */
export function fingerprint(type: CachedType): string {
  const fields = [...type.fields.values()].map(
    (field) => `${field.name}:${field.absent ? 'absent' : field.dataType}`,
  );
  return createHash('sha256').update(fields.sort().join('\n')).digest('hex').slice(0, 16);
}

/** The highest id the site has used for a type, alive or retired; 0 if none. */
async function highestId(replica: Replica, type: string, priority: Priority): Promise<number> {
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

/** Plans a full scan: types × id ranges. @returns the scan's id. @throws SiteUnavailable */
export async function planFullScan(
  replica: Replica,
  options: { readonly types: readonly string[]; readonly chunkSize: number; readonly reason: string },
): Promise<number> {
  const chunks: NewChunk[] = [];
  for (const type of options.types) {
    const highest = await highestId(replica, type, 'scan');
    for (let fromId = 1; fromId <= Math.max(highest, 1); fromId += options.chunkSize) {
      chunks.push({ type, fromId, toId: fromId + options.chunkSize - 1 });
    }
  }
  return replica.db.transaction((tx) => createScan(tx, { kind: 'full', reason: options.reason }, chunks));
}

/** Plans a scan of what changed since (and until) a time: one chunk for each type. @returns the scan's id. */
export async function planTimeScan(
  replica: Replica,
  options: {
    readonly kind: Exclude<ScanKind, 'full'>;
    readonly types: readonly string[];
    readonly since: Date;
    readonly until?: Date;
    readonly reason: string;
  },
): Promise<number> {
  const chunks = options.types.map((type) => ({ type, fromId: 1, toId: Number.MAX_SAFE_INTEGER }));
  return replica.db.transaction((tx) => createScan(tx, options, chunks));
}
