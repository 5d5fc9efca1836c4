import { unservedFields } from '@understudy/pipeline/advance-generation';
import { planFullScan, planTimeScan } from '@understudy/pipeline/plan-scan';
import type { Replica } from '@understudy/pipeline/replica';
import { fieldsUnderScan } from '@understudy/store/followed-fields';
import { hasOpenScan, lastScanAt } from '@understudy/store/scans';
import { readWatermark } from '@understudy/store/watermark';

export interface PlanOptions {
  readonly chunkSize: number;
  readonly intervalMs: number;
  readonly overlapMs: number;
}

/**
 * Plans what is due: a full scan of what is followed and not served yet, as soon as the event log is followed (never
 * before: changes made during the scan must be heard of), and an interval scan from time to time.
 * @returns what was planned.
 */
export async function planDue(replica: Replica, options: PlanOptions): Promise<'full' | 'interval' | null> {
  const { pool } = replica.db;
  if ((await readWatermark(pool)) === null) return null;
  const types = await typesToScan(replica);
  if (types.length > 0) {
    await planFullScan(replica, { types, chunkSize: options.chunkSize, reason: 'not scanned yet' });
    return 'full';
  }
  if ((await hasOpenScan(pool, 'full')) || (await hasOpenScan(pool, 'interval'))) return null;
  const last = (await lastScanAt(pool, 'interval')) ?? (await lastScanAt(pool, 'full'));
  if (last !== null && Date.now() - last.getTime() < options.intervalMs) return null;
  const since = new Date((last ?? new Date(Date.now() - options.intervalMs)).getTime() - options.overlapMs);
  const all = [...replica.schema.types.keys()];
  await planTimeScan(replica, { kind: 'interval', types: all, since, reason: 'interval' });
  return 'interval';
}

/** Types with fields that no scan under way will let be served. */
async function typesToScan(replica: Replica): Promise<readonly string[]> {
  const unserved = await unservedFields(replica.db);
  if (unserved.size === 0) return [];
  const underScan = await fieldsUnderScan(replica.db.pool);
  return [...unserved].flatMap(([type, fields]) =>
    fields.some((field) => !underScan.has(`${type}.${field}`)) ? [type] : [],
  );
}
