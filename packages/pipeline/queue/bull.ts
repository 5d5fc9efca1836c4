/** The part of BullMQ's Queue that is the same on both backends. */
export interface BullQueue {
  waitUntilReady(): Promise<unknown>;
  addBulk(jobs: readonly object[]): Promise<unknown>;
  getWaitingCount(): Promise<number>;
  getJobCounts(): Promise<Record<string, number>>;
  close(): Promise<void>;
}

/** The part of BullMQ's Worker that is the same on both backends. */
export interface BullWorker {
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): void | Promise<void>;
  close(force?: boolean): Promise<void>;
}

/**
 * How long a job of a worker that was killed stays with it, and how often such jobs are looked for: both together pass
 * until another takes it. A worker that was only too busy to say that it lives may see its job done twice, which every
 * job allows.
 */
const LOCK_MS = 6_000;
const STALLED_INTERVAL_MS = 2_000;
/** BullMQ's own wait after a refused connection is 15 seconds. */
const RETRY_MS = 1_000;

export const workerOptions = (concurrency: number): object => ({
  concurrency,
  lockDuration: LOCK_MS,
  stalledInterval: STALLED_INTERVAL_MS,
  maxStalledCount: 100,
  runRetryDelay: RETRY_MS,
});
