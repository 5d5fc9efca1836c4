import { setTimeout as delay } from 'node:timers/promises';
import { type EntityRef, refKey } from '@understudy/domain/entity';
import { type InDoubt, refreshEntities, refreshLinkers } from '@understudy/pipeline/refresh-entities';
import { refreshNames } from '@understudy/pipeline/refresh-names';
import type { Replica } from '@understudy/pipeline/replica';
import type { Logger } from '@understudy/runtime/logging';
import { pause } from '@understudy/runtime/loop';
import { requestRefresh } from '@understudy/store/refresh-requests';
import { ALL_READERS_KNOW_MS } from './replica-state.ts';

/** An entity that was written. */
export interface Written extends EntityRef {
  /** Whether it was revived: what links to it is in doubt as well, since the links are back with it (protocol §3.4). */
  readonly linkers?: boolean;
}

/** What was written through this process and is neither in the replica nor, as a request to fetch it, in PostgreSQL. */
export interface RefreshDebt {
  /** True while a write was answered of which PostgreSQL does not know: reads of the replica would miss it. */
  readonly isOpen: boolean;
  /**
   * Refreshes entities now. Returns when it is done, or when every reader knows that it is not and passes reads
   * through until it is. Never throws.
   */
  settle(replica: Replica | null, refs: readonly Written[]): Promise<void>;
  /** Works off what is left, again and again until the signal is aborted. */
  run(replica: () => Replica | null, signal: AbortSignal): Promise<void>;
}

/** As many as the site gives in one page on the safe side. */
const PAGE = 200;
/** How long a client's write may wait for the replica; the rest is done after its reply. */
const WAIT_MS = 10_000;
const RETRY_MS = 500;
/** Beyond it the event log, which tells of every write, is trusted to bring the rest. */
const DEBT_MAX = 50_000;
const REASON = 'written through';
/** How often this process tries by itself what it left to the appliers: they may have other things to do first. */
const OWN_TRIES = 20;
/** How often an entity is fetched in a row of which something else is told each time. */
const AGAIN_MAX = 10;

/** Makes the replica know what a write did, before its reply where that is possible and soon after where it is not. */
export function createRefreshDebt(log: Logger): RefreshDebt {
  const open = new Map<string, Written>();
  /** Left to PostgreSQL, with the tries that are left. */
  const left = new Map<string, { readonly ref: Written; tries: number }>();

  /** @returns what is found to be in doubt by what was fetched. */
  const refreshOnce = async (replica: Replica, refs: readonly Written[]): Promise<readonly InDoubt[]> => {
    const byType = Map.groupBy(refs, (ref) => ref.type);
    const doubtful = await Promise.all(
      [...byType].map(async ([type, ofType]) => {
        const ids = [...new Set(ofType.map((ref) => ref.id))];
        const revived = ofType.filter((ref) => ref.linkers).map((ref) => ref.id);
        const linkers =
          revived.length === 0 ? null : await refreshLinkers(replica, type, [...new Set(revived)], 'client');
        const found: InDoubt[] = [];
        for (let start = 0; start < ids.length; start += PAGE) {
          const some = ids.slice(start, start + PAGE);
          if (replica.schema.types.has(type))
            found.push(...(await refreshEntities(replica, type, some, 'client', 'write', linkers)));
          else await refreshNames(replica, type, some, 'client', linkers);
        }
        return found;
      }),
    );
    return doubtful.flat();
  };

  /**
   * Also what no request names: an entity that was linked from one list is taken out of another one by the site. And what
   * an event, polled while it was fetched, told otherwise: that may be of before the write.
   */
  const refresh = async (replica: Replica, refs: readonly Written[]): Promise<void> => {
    const done = new Set<string>();
    let open = refs;
    for (let round = 0; open.length > 0; round += 1) {
      for (const ref of open) done.add(refKey(ref));
      const doubtful = await refreshOnce(replica, open);
      if (round >= AGAIN_MAX && doubtful.some((ref) => ref.again))
        throw new Error('an entity changes each time it is fetched');
      open = doubtful.filter((ref) => ref.linkers || ref.again || !done.has(refKey(ref)));
    }
  };

  /** Leaves entities to PostgreSQL, where every reader sees that they are open and every applier can fetch them. */
  const handOver = async (replica: Replica, refs: readonly Written[]): Promise<void> => {
    await requestRefresh(
      replica.db.pool,
      refs.map((ref) => ({ ...ref, reason: REASON, written: true })),
    );
    await delay(ALL_READERS_KNOW_MS);
    for (const ref of refs) {
      const key = refKey(ref);
      // Another write to it may have come meanwhile.
      if (open.get(key) === ref) open.delete(key);
      left.set(key, { ref, tries: OWN_TRIES });
    }
  };

  const tryLeft = async (replica: Replica): Promise<void> => {
    const some = [...left].slice(0, PAGE);
    for (const [key, entry] of some) {
      entry.tries -= 1;
      if (entry.tries <= 0) left.delete(key);
    }
    const refs = some.map(([, entry]) => entry.ref);
    await refresh(replica, refs);
    for (const [key] of some) left.delete(key);
    if (left.size === 0) log.info('every write is merged');
  };

  const owe = async (replica: Replica | null, refs: readonly Written[]): Promise<void> => {
    const owed = refs.map((ref) => ({
      ...ref,
      linkers: ref.linkers === true || open.get(refKey(ref))?.linkers === true,
    }));
    for (const ref of owed) if (open.size < DEBT_MAX) open.set(refKey(ref), ref);
    if (replica === null) return;
    await handOver(replica, owed).catch((error: unknown) => {
      log.warn({ err: error, entities: refs.length }, 'PostgreSQL could not be told of a write');
    });
  };

  /** Done, or failed, or still under way after the time that a client waits. */
  const within = async (work: Promise<void>): Promise<'done' | 'not-done'> => {
    const waiting = new AbortController();
    const merged = work.then(
      () => 'done' as const,
      (error: unknown) => {
        log.warn({ err: error }, 'a write could not be merged before its reply');
        return 'not-done' as const;
      },
    );
    const tooLong = delay(WAIT_MS, 'not-done' as const, { signal: waiting.signal }).catch(
      () => 'not-done' as const,
    );
    const outcome = await Promise.race([merged, tooLong]);
    waiting.abort();
    return outcome;
  };

  return {
    get isOpen() {
      return open.size > 0;
    },
    settle: async (replica, refs) => {
      if (refs.length === 0) return;
      if (replica !== null && (await within(refresh(replica, refs))) === 'done') return;
      await owe(replica, refs);
    },
    run: async (replica, signal) => {
      while (!signal.aborted) {
        await pause(RETRY_MS, signal);
        const current = replica();
        if (current === null) continue;
        try {
          if (open.size > 0) await handOver(current, [...open.values()].slice(0, PAGE));
          if (left.size > 0) await tryLeft(current);
        } catch (error) {
          log.debug({ err: error, open: open.size, left: left.size }, 'writes are still not merged');
        }
      }
    },
  };
}
