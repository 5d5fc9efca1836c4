import { finishReprocessChunk, type ReprocessChunk } from '@understudy/store/reprocess';
import { replayEvents } from '../apply-events.ts';
import { onReplica, type Replica } from '../replica.ts';
import { type Repaired, repairStates } from './compare-states.ts';

/**
 * Does a chunk of a run. Killed in the middle, it is done again by another, with the same outcome.
 * @param onTypes told of the types with entities that must be fetched now.
 * @throws SiteUnavailable
 */
export async function processReprocessChunk(
  replica: Replica,
  chunk: ReprocessChunk,
  options: {
    readonly onPage: () => Promise<void>;
    readonly onTypes: (types: ReadonlySet<string>) => Promise<void>;
  },
): Promise<Repaired> {
  return onReplica(replica, async (current) => {
    if (chunk.kind === 'events') {
      const { types, count } = await replayEvents(current, chunk.fromId, chunk.toId);
      const done = { checked: count, repaired: 0 };
      await current.db.transaction((tx) => finishReprocessChunk(tx, chunk, done));
      await options.onTypes(types);
      return done;
    }
    const done = await repairStates(current, chunk, { priority: 'scan', onPage: options.onPage });
    await current.db.transaction((tx) => finishReprocessChunk(tx, chunk, done));
    return done;
  });
}
