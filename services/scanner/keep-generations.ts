import { advanceGenerations, dropReleased, releaseRetired } from '@understudy/pipeline/advance-generation';
import type { Logger } from '@understudy/runtime/logging';
import type { Database } from '@understudy/store/database';

/** Longer than any reader goes on reading by what it knew of the schema. */
export const DROP_AFTER_MS = 60_000;
/** Trying to drop what cannot be dropped holds up merges and reads for a moment. */
const TRY_AGAIN_MS = 600_000;

/**
 * @returns what moves generations on that go by themselves, stops following those replaced long ago, and drops their
 * columns. What somebody's own view needs is told of, and tried again later.
 */
export function generationKeeper(db: Database, retiredKeepMs: number, log: Logger): () => Promise<void> {
  let dropsFrom = 0;
  return async () => {
    for (const done of await advanceGenerations(db)) log.info(done);
    const released = await releaseRetired(db, retiredKeepMs);
    if (released.length > 0) log.info({ generations: released }, 'generations are followed no longer');
    if (performance.now() < dropsFrom) return;
    const { dropped, kept } = await dropReleased(db, DROP_AFTER_MS);
    if (dropped.length > 0) log.info({ statements: dropped }, 'columns that no generation uses are dropped');
    if (kept.length === 0) return;
    log.warn({ kept }, 'columns that no generation uses cannot be dropped yet');
    dropsFrom = performance.now() + TRY_AGAIN_MS;
  };
}
