import { createRedisBackend, type Job, withBackend } from 'bullmq';
import type { QueueOpener } from '../queue-backend.ts';
import { type BullQueue, workerOptions } from './bull.ts';
import { asJobQueue } from './job-queue.ts';
import { asJobWorker } from './job-worker.ts';

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/**
 * A connection that has owed an answer for longer than this is made anew: the server's machine may have gone without a
 * word. Longer than a worker's longest wait for a job, which BullMQ ends after ten seconds.
 */
const SILENT_MS = 20_000;
const ANSWER_MS = 5_000;

/** Queues over Redis. While it is away calls wait, and connections are made again by themselves. */
export function overRedis(url: string): QueueOpener {
  const { Queue, Worker } = withBackend(createRedisBackend);
  const connection = {
    url,
    maxRetriesPerRequest: null,
    socketTimeout: SILENT_MS,
    retryStrategy: (times: number) => Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), LONGEST_RETRY_MS),
  };
  return {
    queue: (name) => {
      const open = (): BullQueue => {
        const queue = new Queue(name, { connection: connection as never });
        queue.on('error', () => {
          // Redis is away: calls say so.
        });
        return queue as never;
      };
      return asJobQueue(name, open, ANSWER_MS);
    },
    worker: (name, processor, { concurrency, onError, onFailed, onDone }) => {
      const worker = new Worker(name, (job: Job) => processor(job), {
        connection: connection as never,
        ...workerOptions(concurrency),
      });
      worker.on('error', onError);
      worker.on('failed', (_job, error) => onFailed(error));
      worker.on('completed', (job) => onDone?.(job));
      return asJobWorker(worker);
    },
  };
}
