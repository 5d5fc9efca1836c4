import { fingerprint, planFullScan, planTimeScan } from '@understudy/pipeline/plan-scan';
import type { Replica } from '@understudy/pipeline/replica';
import { hasOpenScan, lastScanAt, servedTypes } from '@understudy/store/scans';
import { readWatermark } from '@understudy/store/watermark';

export interface PlanOptions {
  readonly chunkSize: number;
  readonly intervalMs: number;
  readonly overlapMs: number;
}

/**
 * Plans what is due: a full scan of every type that is not served with the fields it has now, as soon as the event log
 * is followed (never before: changes made during the scan must be heard of), and an interval scan from time to time.
 * @returns what was planned.
 */
export async function planDue(replica: Replica, options: PlanOptions): Promise<'full' | 'interval' | null> {
  const { pool } = replica.db;
  if ((await readWatermark(pool)) === null || (await hasOpenScan(pool, 'full'))) return null;
  const served = await servedTypes(pool);
  const types = [...replica.schema.types.values()].filter(
    (type) => served.get(type.name) !== fingerprint(type),
  );
  if (types.length > 0) {
    const names = types.map((type) => type.name);
    await planFullScan(replica, { types: names, chunkSize: options.chunkSize, reason: 'not scanned yet' });
    return 'full';
  }
  if (await hasOpenScan(pool, 'interval')) return null;
  const last = (await lastScanAt(pool, 'interval')) ?? (await lastScanAt(pool, 'full'));
  if (last !== null && Date.now() - last.getTime() < options.intervalMs) return null;
  const since = new Date((last ?? new Date(Date.now() - options.intervalMs)).getTime() - options.overlapMs);
  const all = [...replica.schema.types.keys()];
  await planTimeScan(replica, { kind: 'interval', types: all, since, reason: 'interval' });
  return 'interval';
}
