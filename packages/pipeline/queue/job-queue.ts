import type { JobQueue } from '../queue-backend.ts';
import type { QueueName } from '../queues.ts';
import type { BullQueue } from './bull.ts';
import { inTime } from './in-time.ts';
import { QueueAway } from './queue-away.ts';

const ATTEMPTS = 8;
const FIRST_BACKOFF_MS = 250;
const KEEP_COMPLETED = 500;
const KEEP_FAILED = 1_000;
const CLOSE_MS = 1_000;

/** A queue that can be closed. */
export type OpenJobQueue = JobQueue & { close(): Promise<void> };

/**
 * A BullMQ queue as the project knows it. BullMQ waits for a Redis that is away without end: a call that takes too long
 * ends as `QueueAway`, and until it is settled after all, others end so at once, so that nothing piles up.
 * @param open makes the queue. BullMQ remembers for ever that PostgreSQL was away when a queue was first used: such a
 * queue is closed and made anew for the next use.
 * @param answerMs how long a queue that is there may take to answer.
 */
export function asJobQueue(name: QueueName, open: () => BullQueue, answerMs: number): OpenJobQueue {
  let queue: BullQueue | null = null;
  let overdue: Promise<void> | null = null;
  const current = (): BullQueue => {
    queue ??= open();
    return queue;
  };
  const ready = async (): Promise<BullQueue> => {
    const used = current();
    try {
      await used.waitUntilReady();
    } catch (error) {
      if (used === queue) queue = null;
      await used.close().catch(() => {
        // It never was ready: there was nothing to close but an idle pool, and `error` says why.
      });
      throw error;
    }
    return used;
  };
  const answered = async <T>(ask: (queue: BullQueue) => Promise<T>): Promise<T> => {
    if (overdue !== null) throw new QueueAway(`the queue ${name} does not answer`);
    const answer = ready().then(ask);
    const settled = answer.then(
      () => {},
      () => {},
    );
    if (!(await inTime(settled, answerMs))) {
      overdue = settled.then(() => {
        overdue = null;
      });
      throw new QueueAway(`the queue ${name} has not answered for ${answerMs} ms`);
    }
    return answer;
  };
  return {
    name,
    get bull() {
      return current();
    },
    add: async (jobs) => {
      if (jobs.length === 0) return;
      await answered((used) =>
        used.addBulk(
          jobs.map((job) => ({
            name: job.name,
            data: job.data,
            opts: {
              jobId: job.id,
              attempts: ATTEMPTS,
              backoff: { type: 'exponential', delay: FIRST_BACKOFF_MS, jitter: 0.5 },
              removeOnComplete: job.forget ? true : { count: KEEP_COMPLETED },
              removeOnFail: job.forget ? true : { count: KEEP_FAILED },
            },
          })),
        ),
      );
    },
    waiting: () => answered((used) => used.getWaitingCount()),
    counts: () => answered((used) => used.getJobCounts()),
    close: async () => {
      const closed = queue?.close() ?? Promise.resolve();
      closed.catch(() => {
        // Told below, unless nobody waits for it any more.
      });
      await inTime(closed, CLOSE_MS);
    },
  };
}
