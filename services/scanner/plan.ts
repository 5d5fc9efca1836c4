import { unservedFields } from '@understudy/pipeline/advance-generation';
import { planFieldScan, planFullScan, planTimeScan } from '@understudy/pipeline/plan-scan';
import type { Replica } from '@understudy/pipeline/replica';
import { fieldsUnderScan, ROWS } from '@understudy/store/followed-fields';
import { firstScanAt, hasOpenScan, lastScanAt, type ScanKind, wholeReadAt } from '@understudy/store/scans';
import { databaseTime } from '@understudy/store/site-schema';
import { readWatermark } from '@understudy/store/watermark';

const REASON = 'what had not been scanned';

export interface PlanOptions {
  readonly chunkSize: number;
  readonly intervalMs: number;
  readonly overlapMs: number;
  /** How often types that have no `updated_at` take part in interval scans, which then read all of their rows. */
  readonly wholeIntervalMs: number;
}

/**
 * Plans what is due: a scan of what is followed and not served yet, as soon as the event log is followed (never before:
 * changes made during the scan must be heard of), and an interval scan from time to time. Of types whose rows are all
 * here only the fields that are new are scanned.
 * @returns what was planned.
 */
export async function planDue(replica: Replica, options: PlanOptions): Promise<readonly ScanKind[]> {
  const { pool } = replica.db;
  if ((await readWatermark(pool)) === null) return [];
  const { types, fields } = await whatToScan(replica);
  const how = { chunkSize: options.chunkSize, reason: REASON };
  if (types.length > 0) await planFullScan(replica, { types, ...how });
  if (fields.size > 0) await planFieldScan(replica, { fields, ...how });
  if (types.length > 0 || fields.size > 0)
    return [...(types.length > 0 ? ['full' as const] : []), ...(fields.size > 0 ? ['fields' as const] : [])];
  if ((await hasOpenScan(pool, 'full')) || (await hasOpenScan(pool, 'interval'))) return [];
  // Later full scans may have been of some types or projects only.
  const last = (await lastScanAt(pool, 'interval')) ?? (await firstScanAt(pool, 'full'));
  const now = (await databaseTime(pool)).getTime();
  if (last !== null && now - last.getTime() < options.intervalMs) return [];
  const since = new Date((last?.getTime() ?? now - options.intervalMs) - options.overlapMs);
  const due = await dueTypes(replica, options.wholeIntervalMs, now);
  if (due.length === 0) return [];
  await planTimeScan(replica, { kind: 'interval', types: due, since, reason: 'interval' });
  return ['interval'];
}

/**
 * Types for an interval scan. Of those that say when a row was changed, only what was changed is read; connection types
 * and the like do not say it, and may have millions of rows.
 */
async function dueTypes(replica: Replica, wholeIntervalMs: number, now: number): Promise<readonly string[]> {
  const readAt = await wholeReadAt(replica.db.pool);
  return [...replica.schema.types].flatMap(([type, { fields }]) => {
    const at = readAt.get(type)?.getTime() ?? Number.NEGATIVE_INFINITY;
    return fields.has('updated_at') || now - at >= wholeIntervalMs ? [type] : [];
  });
}

/** What no scan under way will let be served: types whose rows are not all here, and fields of those whose rows are. */
async function whatToScan(
  replica: Replica,
): Promise<{ readonly types: readonly string[]; readonly fields: ReadonlyMap<string, readonly string[]> }> {
  const types: string[] = [];
  const fields = new Map<string, readonly string[]>();
  const unserved = await unservedFields(replica.db);
  const underScan = unserved.size === 0 ? new Set<string>() : await fieldsUnderScan(replica.db.pool);
  for (const [type, ofType] of unserved) {
    const due = ofType.filter((field) => !underScan.has(`${type}.${field}`));
    if (due.length === 0) continue;
    if (ofType.includes(ROWS)) types.push(type);
    else fields.set(type, due);
  }
  return { types, fields };
}
