import type { Replica } from '@understudy/pipeline/replica';
import type { EntityDifference } from '@understudy/pipeline/verify/entity-state';
import { verifyType } from '@understudy/pipeline/verify/verify-type';

/** What seems to differ is looked at again after a while: types wait side by side. */
const TYPES_AT_ONCE = 4;

/**
 * What of some types differs from the site, as `understudy verify` finds it; in this process, to spare its start.
 * @param settleMs how long the replica is given to hear of what it may not have heard yet.
 */
export async function differences(
  replica: Pick<Replica, 'db' | 'schema' | 'site'>,
  types: Iterable<string>,
  settleMs: number,
): Promise<readonly EntityDifference[]> {
  const found: EntityDifference[] = [];
  const left = [...types];
  const work = async (): Promise<void> => {
    for (let type = left.shift(); type !== undefined; type = left.shift())
      await verifyType(replica, type, {
        priority: 'audit',
        settleMs,
        signal: new AbortController().signal,
        onCompared: () => {},
        onDifference: (difference) => found.push(difference),
      });
  };
  await Promise.all(Array.from({ length: TYPES_AT_ONCE }, work));
  return found;
}
