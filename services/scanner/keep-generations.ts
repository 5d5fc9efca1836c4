import { advanceGenerations, dropReleased, releaseRetired } from '@understudy/pipeline/advance-generation';
import type { Logger } from '@understudy/runtime/logging';
import type { Database } from '@understudy/store/database';

/** Longer than any reader goes on reading by what it knew of the schema. */
export const DROP_AFTER_MS = 60_000;

/** Moves generations on that go by themselves, stops following those replaced long ago, and drops their columns. */
export async function keepGenerations(db: Database, retiredKeepMs: number, log: Logger): Promise<void> {
  for (const done of await advanceGenerations(db)) log.info(done);
  const released = await releaseRetired(db, retiredKeepMs);
  if (released.length > 0) log.info({ generations: released }, 'generations are followed no longer');
  const dropped = await dropReleased(db, DROP_AFTER_MS);
  if (dropped.length > 0) log.info({ statements: dropped }, 'columns that no generation uses are dropped');
}
