import { JobGate } from './job-gate.ts';
import type { OpenJobQueue } from './queue/job-queue.ts';
import { overPostgres } from './queue/over-postgres.ts';
import { overRedis } from './queue/over-redis.ts';
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

/**
 * One queue, whatever keeps it. Its calls throw `QueueAway` when they are not answered in time; what they asked for may
 * be done later all the same, which harms nobody: a job says only where in PostgreSQL its work is.
 */
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
  /** Begins no further job from this call on; those under way go on. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /**
   * Finishes what is under way.
   * @param answers whether the queue can still be told of it; asked from time to time, and not waited for if not.
   */
  close(answers: () => Promise<boolean>): Promise<void>;
}

export interface WorkerOptions {
  readonly concurrency: number;
  /** The queue is away, or did not do what it was asked to; it is asked again. */
  readonly onError: (error: Error) => void;
  /** The processor threw; the job is tried again. */
  readonly onFailed: (error: Error) => void;
  /** A job is done, and one that is forgotten then may be added again. */
  readonly onDone?: (job: QueuedJob) => void;
}

/** Works on jobs until it is closed. A processor that throws has its job tried again, later each time. */
type OpenWorker<W> = (
  name: QueueName,
  processor: (job: QueuedJob) => Promise<void>,
  options: WorkerOptions,
) => W;

/** What a kind of queue must be able to do. */
export interface QueueOpener {
  queue(name: QueueName): OpenJobQueue;
  readonly worker: OpenWorker<JobWorker>;
}

export interface QueueBackend {
  queue(name: QueueName): JobQueue;
  readonly worker: OpenWorker<Omit<JobWorker, 'close'> & { close(): Promise<void> }>;
  close(): Promise<void>;
}

/**
 * Opens BullMQ over Redis or PostgreSQL.
 * @param url `redis://…` or `postgres://…`; with PostgreSQL jobs live in schema `queue`.
 */
export function openQueueBackend(url: string): QueueBackend {
  const open = /^rediss?:/.test(url) ? overRedis(url) : overPostgres(url);
  const queues = new Map<QueueName, OpenJobQueue>();
  const workers: { close(): Promise<void> }[] = [];
  const queueNamed = (name: QueueName): OpenJobQueue => {
    const queue = queues.get(name) ?? open.queue(name);
    queues.set(name, queue);
    return queue;
  };
  return {
    queue: queueNamed,
    worker: (name, processor, options) => {
      const gate = new JobGate();
      const opened = open.worker(
        name,
        async (job) => {
          await gate.pass();
          await processor(job);
        },
        options,
      );
      const answers = (): Promise<boolean> =>
        queueNamed(name)
          .waiting()
          .then(
            () => true,
            () => false,
          );
      const worker = {
        pause: () => {
          gate.shut();
          return opened.pause();
        },
        resume: () => {
          gate.open();
          return opened.resume();
        },
        close: () => {
          gate.close();
          return opened.close(answers);
        },
      };
      workers.push(worker);
      return worker;
    },
    close: async () => {
      await Promise.all(workers.map((worker) => worker.close()));
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}

/** Every queue there is, for whoever shows them. */
export function allQueues(backend: QueueBackend): readonly JobQueue[] {
  return QUEUE_NAMES.map((name) => backend.queue(name));
}
