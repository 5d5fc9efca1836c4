import type { QueueBackend, QueuedJob } from '@understudy/pipeline/queue-backend';
import type { QueueName } from '@understudy/pipeline/queues';
import type { Logger } from 'pino';
import type { JobMetrics } from './metrics/job-metrics.ts';

/** Works on the jobs of a queue until it is closed, logged and counted. */
export type WorkOn = (
  name: QueueName,
  processor: (job: QueuedJob) => Promise<void>,
  options: {
    readonly concurrency: number;
    /** Does something once a job is done and, if it is forgotten then, may be added again. */
    readonly afterwards?: (job: QueuedJob) => Promise<void>;
  },
) => ReturnType<QueueBackend['worker']>;

/** A worker tells of a queue that is away each time it asks; the log wants to hear of it less often. */
const ERROR_EVERY_MS = 60_000;

/** How the services of one process work on queues. */
export function workOnQueues(queues: QueueBackend, metrics: JobMetrics, log: Logger): WorkOn {
  return (queue, processor, { concurrency, afterwards }) => {
    let toldAt = Number.NEGATIVE_INFINITY;
    return queues.worker(
      queue,
      async (job) => {
        const startedAt = performance.now();
        const seconds = (): number => (performance.now() - startedAt) / 1_000;
        try {
          await processor(job);
          metrics.count(queue, 'done', seconds());
        } catch (error) {
          metrics.count(queue, 'failed', seconds());
          throw error;
        }
      },
      {
        concurrency,
        onDone: (job) => {
          afterwards?.(job).catch((error: unknown) => {
            log.debug({ err: error, queue }, 'what was to follow a job failed; the sweeper does it');
          });
        },
        onFailed: (error) => log.warn({ err: error, queue }, 'a job failed and is tried again'),
        onError: (error) => {
          metrics.countError(queue);
          const isNews = performance.now() - toldAt > ERROR_EVERY_MS;
          if (isNews) toldAt = performance.now();
          log[isNews ? 'warn' : 'debug']({ err: error, queue }, 'the queue is away, and is asked again');
        },
      },
    );
  };
}
