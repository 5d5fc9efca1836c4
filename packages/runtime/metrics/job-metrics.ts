import type { QueueName } from '@understudy/pipeline/queues';
import { Counter, Histogram, type Registry } from 'prom-client';

const BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export interface JobMetrics {
  /** Counts one job that was worked on. */
  count(queue: QueueName, outcome: 'done' | 'failed', seconds: number): void;
  /** Counts one time that a worker could not ask the queue. */
  countError(queue: QueueName): void;
}

/** Counts the jobs that a process works on. */
export function createJobMetrics(registry: Registry): JobMetrics {
  const jobs = new Counter({
    name: 'understudy_jobs_total',
    help: 'Jobs that this process worked on; failed ones are tried again',
    labelNames: ['queue', 'outcome'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'understudy_job_seconds',
    help: 'Time that one job took',
    labelNames: ['queue'],
    buckets: BUCKETS_S,
    registers: [registry],
  });
  const errors = new Counter({
    name: 'understudy_queue_errors_total',
    help: 'Times that a worker of this process could not ask the queue',
    labelNames: ['queue'],
    registers: [registry],
  });
  return {
    count: (queue, outcome, took) => {
      jobs.inc({ queue, outcome });
      seconds.observe({ queue }, took);
    },
    countError: (queue) => errors.inc({ queue }),
  };
}
