import { setTimeout as delay } from 'node:timers/promises';
import { type EntityRef, refKey } from '@understudy/domain/entity';
import { refreshEntities } from '@understudy/pipeline/refresh-entities';
import type { Replica } from '@understudy/pipeline/replica';
import type { Logger } from '@understudy/runtime/logging';
import { pause } from '@understudy/runtime/loop';

/** What was written through this process and is not in the replica yet. */
export interface RefreshDebt {
  /** True while a write was answered whose entities could not be refreshed: reads of the replica would miss it. */
  readonly isOpen: boolean;
  /** Refreshes entities now. Returns when it is done, or when it must go on in the background. Never throws. */
  settle(replica: Replica | null, refs: readonly EntityRef[]): Promise<void>;
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

/** Makes the replica know what a write did, before its reply where that is possible and soon after where it is not. */
export function createRefreshDebt(log: Logger): RefreshDebt {
  const open = new Map<string, EntityRef>();

  const refresh = async (replica: Replica, refs: readonly EntityRef[]): Promise<void> => {
    const byType = Map.groupBy(refs, (ref) => ref.type);
    await Promise.all(
      [...byType].map(async ([type, ofType]) => {
        const ids = [...new Set(ofType.map((ref) => ref.id))];
        for (let start = 0; start < ids.length; start += PAGE)
          await refreshEntities(replica, type, ids.slice(start, start + PAGE), 'client');
      }),
    );
  };

  const owe = (refs: readonly EntityRef[]): void => {
    for (const ref of refs) if (open.size < DEBT_MAX) open.set(refKey(ref), ref);
  };

  return {
    get isOpen() {
      return open.size > 0;
    },
    settle: async (replica, refs) => {
      if (refs.length === 0) return;
      if (replica === null) return owe(refs);
      const waiting = new AbortController();
      const work = refresh(replica, refs).then(
        () => 'done' as const,
        (error: unknown) => {
          log.warn({ err: error, entities: refs.length }, 'a write could not be merged and is tried again');
          return 'failed' as const;
        },
      );
      const tooLong = delay(WAIT_MS, 'late' as const, { signal: waiting.signal }).catch(
        () => 'late' as const,
      );
      const outcome = await Promise.race([work, tooLong]);
      waiting.abort();
      if (outcome !== 'done') owe(refs);
    },
    run: async (replica, signal) => {
      while (!signal.aborted) {
        await pause(RETRY_MS, signal);
        const current = replica();
        if (open.size === 0 || current === null) continue;
        const refs = [...open.values()].slice(0, PAGE);
        try {
          await refresh(current, refs);
          for (const ref of refs) open.delete(refKey(ref));
          if (open.size === 0) log.info('every write is merged');
        } catch (error) {
          log.debug({ err: error, open: open.size }, 'writes are still not merged');
        }
      }
    },
  };
}
