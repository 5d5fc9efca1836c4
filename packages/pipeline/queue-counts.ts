import { QueueAway } from './queue/queue-away.ts';
import { allQueues, type QueueBackend } from './queue-backend.ts';
import type { QueueName } from './queues.ts';

/** How many jobs of one queue are in which state. */
export interface QueueCounts {
  readonly queue: QueueName;
  /** Ready for a worker, with or without a priority. */
  readonly waiting: number;
  readonly active: number;
  /** Tried again later. */
  readonly delayed: number;
  readonly failed: number;
  /** Of those that are kept. */
  readonly completed: number;
}

const TIMEOUT_MS = 2_000;

/**
 * Counts the jobs of every queue, in the order of `QUEUE_NAMES`.
 * @throws QueueAway, or the backend's own error. How long it waits is the backend's matter: see `countQueues`.
 */
export function countQueuesPatiently(backend: QueueBackend): Promise<readonly QueueCounts[]> {
  return Promise.all(
    allQueues(backend).map(async (queue) => {
      const counts = await queue.counts();
      const of = (state: string): number => counts[state] ?? 0;
      return {
        queue: queue.name,
        waiting: of('waiting') + of('prioritized'),
        active: of('active'),
        delayed: of('delayed'),
        failed: of('failed'),
        completed: of('completed'),
      };
    }),
  );
}

/** Counts the jobs of every queue. @throws QueueAway after `timeoutMs`, or the backend's own error. */
export async function countQueues(
  backend: QueueBackend,
  timeoutMs: number = TIMEOUT_MS,
): Promise<readonly QueueCounts[]> {
  const tooLate = Promise.withResolvers<never>();
  const timer = setTimeout(() => tooLate.reject(new QueueAway(`no answer in ${timeoutMs} ms`)), timeoutMs);
  return Promise.race([countQueuesPatiently(backend), tooLate.promise]).finally(() => clearTimeout(timer));
}
