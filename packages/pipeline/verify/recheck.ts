import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Priority } from '@understudy/site-client/budget';
import { isRefreshPending } from '@understudy/store/refresh-requests';
import { databaseTime } from '@understudy/store/site-schema';
import { readWatermark } from '@understudy/store/watermark';
import type { Replica } from '../replica.ts';
import {
  differenceOf,
  type EntityDifference,
  type EntityState,
  replicaStates,
  siteStates,
} from './entity-state.ts';

export interface RecheckOptions {
  readonly priority: Priority;
  /** How long the replica is given to hear of what it may not have heard yet. */
  readonly settleMs: number;
  readonly signal: AbortSignal;
}

export interface Rechecked {
  readonly different: readonly EntityDifference[];
  /** Entities that changed on the site each time they were looked at, so that nothing can be said of them. */
  readonly unsettled: readonly number[];
}

/** An entity that changes more often than it is looked at is given up. */
const ROUNDS_MAX = 8;
/** How often in a row an entity must differ, its site's answer being the same all the while. */
const CONFIRMATIONS = 2;
/** Events become visible up to half a second after the write (protocol §6.5). */
const BETWEEN_ROUNDS_MS = 600;
const LOOK_MS = 100;

/** An entity as it was found in the last round. */
interface Suspect {
  readonly site: EntityState | undefined;
  readonly difference: EntityDifference;
  readonly confirmed: number;
}

/**
 * Looks again at entities that seemed to differ: fetches them from the site, lets the replica follow the event log past
 * that moment, compares, and fetches them again. One differs when it did so twice while the site's answer stayed the
 * same before and after: what changed between two reads, or is still on its way, is no difference.
 */
export async function recheck(
  replica: Pick<Replica, 'db' | 'schema' | 'site'>,
  type: string,
  fields: readonly string[],
  ids: readonly number[],
  options: RecheckOptions,
): Promise<Rechecked> {
  const different: EntityDifference[] = [];
  let open = [...ids];
  const suspects = new Map<number, Suspect>();
  for (let round = 0; round < ROUNDS_MAX && open.length > 0; round += 1) {
    options.signal.throwIfAborted();
    if (round > 0) await delay(BETWEEN_ROUNDS_MS, undefined, { signal: options.signal });
    const askedAt = (await databaseTime(replica.db.pool)).getTime();
    const site = await siteStates(replica.site, type, fields, open, options.priority);
    for (const [id, suspect] of suspects) {
      if (!isDeepStrictEqual(site.get(id), suspect.site)) suspects.delete(id);
      else if (suspect.confirmed + 1 < CONFIRMATIONS)
        suspects.set(id, { ...suspect, confirmed: suspect.confirmed + 1 });
      else {
        different.push(suspect.difference);
        suspects.delete(id);
        open = open.filter((one) => one !== id);
      }
    }
    if (open.length === 0) break;
    await caughtUp(replica, type, open, askedAt, options);
    const ours = await replicaStates(replica, type, fields, open);
    open = open.filter((id) => {
      const difference = differenceOf(type, id, fields, site.get(id), ours.get(id));
      if (difference === null) suspects.delete(id);
      else suspects.set(id, { site: site.get(id), difference, confirmed: suspects.get(id)?.confirmed ?? 0 });
      return difference !== null;
    });
  }
  return { different, unsettled: open };
}

/** Waits until the replica has heard of everything before a moment, `settleMs` at most: it may not follow at all. */
async function caughtUp(
  { db }: Pick<Replica, 'db'>,
  type: string,
  ids: readonly number[],
  since: number,
  { settleMs, signal }: RecheckOptions,
): Promise<void> {
  const deadline = Date.now() + settleMs;
  let target: number | null = null;
  while (Date.now() < deadline) {
    const watermark = await readWatermark(db.pool);
    if (watermark?.lastPollAt != null && watermark.lastPollAt.getTime() >= since) {
      target ??= watermark.polledThrough;
      if (watermark.appliedThrough >= target && !(await isRefreshPending(db.pool, type, ids))) return;
    }
    await delay(LOOK_MS, undefined, { signal });
  }
}
