import type { Replica } from '@understudy/pipeline/replica';
import { and, leaf } from '@understudy/site-client/filters';
import { clearEventLog } from '@understudy/store/event-log';
import { serveNothing } from '@understudy/store/followed-fields';
import { initWatermark, readWatermark, replaceGaps } from '@understudy/store/watermark';

/**
 * Ids are taken before their transaction commits: below the newest one that is visible some may still come, of writes
 * that a scan beginning now would not see either.
 */
const UNCOMMITTED_IDS = 100;

/** The newest id of the site's log; 0 while it is empty. */
async function headId(replica: Replica): Promise<number> {
  const { results } = await replica.site.read(
    { type: 'EventLogEntry', fields: ['id'], sorts: [{ field_name: 'id', direction: 'desc' }], pageSize: 1 },
    { priority: 'poll' },
  );
  return results[0]?.id ?? 0;
}

/**
 * Makes sure that the log can be followed from where it was left. On the first start following begins at the head; the
 * full scan comes after. When the log no longer holds the last id that was seen (it was purged, or the site is another
 * one), following begins at the head again and every type must be scanned again before it is served.
 * @returns what was done, or null when the checkpoint holds.
 */
export async function ensureCheckpoint(replica: Replica): Promise<'first start' | 'log lost' | null> {
  const { db } = replica;
  const watermark = await readWatermark(db.pool);
  if (watermark !== null) {
    if (watermark.polledThrough === 0) return null;
    const { results } = await replica.site.read(
      {
        type: 'EventLogEntry',
        fields: ['id'],
        filters: and(leaf('id', 'is', watermark.polledThrough)),
        pageSize: 1,
      },
      { priority: 'poll' },
    );
    if (results.length > 0) return null;
  }
  const head = Math.max(0, (await headId(replica)) - UNCOMMITTED_IDS);
  await db.transaction(async (tx) => {
    await initWatermark(tx, head);
    await replaceGaps(tx, []);
    // Whatever was served may have missed changes; a scan that began before this point has as well. Scans first: one that ends
    // just now is waited for, and what it lets be served is seen.
    await tx.query('delete from understudy.scan where finished_at is null');
    await serveNothing(tx);
    if (watermark !== null) await clearEventLog(tx);
  });
  return watermark === null ? 'first start' : 'log lost';
}
