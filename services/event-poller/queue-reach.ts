import type { Logger } from '@understudy/runtime/logging';

/** What the poller asks of the queue, which it can do without: PostgreSQL holds everything that is to be done. */
export interface QueueReach {
  /** Whether something could not be enqueued since this was last set to false. */
  missed: boolean;
  /** Does something with the queue. @returns what came of it; null if the queue is away. */
  attempt<T>(work: () => Promise<T>): Promise<T | null>;
}

/** Tells the log when the queue goes and when it is back, once each. */
export function createQueueReach(log: Logger): QueueReach {
  let isAway = false;
  const reach: QueueReach = {
    missed: false,
    attempt: async (work) => {
      try {
        const result = await work();
        if (isAway) log.info('the queue is back');
        isAway = false;
        return result;
      } catch (error) {
        if (!isAway)
          log.warn({ err: error }, 'the queue is away; events are stored, and applied once it is back');
        isAway = true;
        reach.missed = true;
        return null;
      }
    },
  };
  return reach;
}
