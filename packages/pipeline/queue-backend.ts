import { createPostgresBackend, createRedisBackend, type Job, withBackend } from 'bullmq';
import { QUEUE_NAMES, type QueueName } from './queues.ts';

/** What the project needs of a job. */
export interface QueuedJob {
  readonly name: string;
  readonly data: unknown;
}

export interface NewJob {
  readonly id: string;
  readonly name: string;
  readonly data: object;
  /** Whether nothing of it is kept once it is done, so that its id may be used again. */
  readonly forget: boolean;
}

/** One queue, whatever keeps it. */
export interface JobQueue {
  readonly name: QueueName;
  /** Adds jobs; an id that is there already is left alone. */
  add(jobs: readonly NewJob[]): Promise<void>;
  /** Jobs that wait for a worker. */
  waiting(): Promise<number>;
  counts(): Promise<Readonly<Record<string, number>>>;
  /** The BullMQ queue itself, for dashboards; another one once its database was found away at the first use. */
  readonly bull: unknown;
}

/** Works on a queue's jobs. */
export interface JobWorker {
  /** Begins no further job; those under way go on. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  close(): Promise<void>;
}

export interface QueueBackend {
  queue(name: QueueName): JobQueue;
  /** Works on jobs until it is closed. A processor that throws has its job tried again, later each time. */
  worker(
    name: QueueName,
    processor: (job: QueuedJob) => Promise<void>,
    options: { readonly concurrency: number; readonly onError: (error: Error) => void },
  ): JobWorker;
  close(): Promise<void>;
}

const ATTEMPTS = 8;
const FIRST_BACKOFF_MS = 250;
const KEEP_COMPLETED = 500;
const KEEP_FAILED = 1_000;
const POSTGRES_CONNECTIONS = 4;
const POSTGRES_CONNECT_TIMEOUT_MS = 5_000;
/** How soon a job of a worker that was killed is given to another. */
const STALLED_INTERVAL_MS = 5_000;
const LOCK_MS = 15_000;

/**
 * Opens BullMQ over Redis or PostgreSQL.
 * @param url `redis://…` or `postgres://…`; with PostgreSQL jobs live in schema `queue`.
 */
export function openQueueBackend(url: string): QueueBackend {
  const open = /^rediss?:/.test(url) ? overRedis(url) : overPostgres(url);
  const queues = new Map<QueueName, JobQueue & { close(): Promise<void> }>();
  const workers: { close(): Promise<void> }[] = [];
  return {
    queue: (name) => {
      const queue = queues.get(name) ?? open.queue(name);
      queues.set(name, queue);
      return queue;
    },
    worker: (name, processor, options) => {
      const worker = open.worker(name, processor, options);
      workers.push(worker);
      return worker;
    },
    close: async () => {
      await Promise.all(workers.map((worker) => worker.close()));
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}

interface Opened {
  queue(name: QueueName): JobQueue & { close(): Promise<void> };
  worker: QueueBackend['worker'];
}

const workerOptions = (concurrency: number): object => ({
  concurrency,
  lockDuration: LOCK_MS,
  stalledInterval: STALLED_INTERVAL_MS,
  maxStalledCount: 100,
});

function overRedis(url: string): Opened {
  const { Queue, Worker } = withBackend(createRedisBackend);
  const connection = { url, maxRetriesPerRequest: null };
  return {
    queue: (name) => {
      const open = (): BullQueue => {
        const queue = new Queue(name, { connection: connection as never });
        queue.on('error', () => {
          // Redis is away: calls wait, and the connection is made again.
        });
        return queue as never;
      };
      return asJobQueue(name, open);
    },
    worker: (name, processor, { concurrency, onError }) => {
      const worker = new Worker(name, (job: Job) => processor(job), {
        connection: connection as never,
        ...workerOptions(concurrency),
      });
      worker.on('error', onError);
      worker.on('failed', (_job, error) => onError(error));
      return asJobWorker(worker);
    },
  };
}

function overPostgres(url: string): Opened {
  const { Queue, Worker } = withBackend(createPostgresBackend);
  const connection = {
    connectionString: url,
    schema: 'queue',
    migrate: true,
    max: POSTGRES_CONNECTIONS,
    connectionTimeoutMillis: POSTGRES_CONNECT_TIMEOUT_MS,
  };
  return {
    queue: (name) => {
      const open = (): BullQueue => {
        const queue = new Queue(name, { connection });
        queue.on('error', () => {
          // PostgreSQL is away: calls fail by themselves, and the connection is made again.
        });
        return queue as never;
      };
      return asJobQueue(name, open);
    },
    worker: (name, processor, { concurrency, onError }) => {
      const worker = new Worker(name, (job) => processor(job as unknown as QueuedJob), {
        connection,
        ...workerOptions(concurrency),
      });
      worker.on('error', onError);
      worker.on('failed', (_job, error) => onError(error));
      return asJobWorker(worker);
    },
  };
}

function asJobWorker(worker: {
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): void | Promise<void>;
  close(): Promise<void>;
}): JobWorker {
  return {
    pause: () => worker.pause(true),
    resume: async () => {
      await worker.resume();
    },
    close: () => worker.close(),
  };
}

/** The part of BullMQ's Queue that is the same on both backends. */
interface BullQueue {
  waitUntilReady(): Promise<unknown>;
  addBulk(jobs: readonly object[]): Promise<unknown>;
  getWaitingCount(): Promise<number>;
  getJobCounts(): Promise<Record<string, number>>;
  close(): Promise<void>;
}

/**
 * @param open makes the queue. BullMQ remembers for ever that PostgreSQL was away when a queue was first used: such a
 * queue is closed and made anew for the next use.
 */
function asJobQueue(name: QueueName, open: () => BullQueue): JobQueue & { close(): Promise<void> } {
  let queue: BullQueue | null = null;
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
  return {
    name,
    get bull() {
      return current();
    },
    add: async (jobs) => {
      if (jobs.length === 0) return;
      await (await ready()).addBulk(
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
      );
    },
    waiting: async () => (await ready()).getWaitingCount(),
    counts: async () => (await ready()).getJobCounts(),
    close: async () => {
      await queue?.close();
    },
  };
}

/** Every queue there is, for whoever shows them. */
export function allQueues(backend: QueueBackend): readonly JobQueue[] {
  return QUEUE_NAMES.map((name) => backend.queue(name));
}
