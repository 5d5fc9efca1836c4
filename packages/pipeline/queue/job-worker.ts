import type { JobWorker } from '../queue-backend.ts';
import type { BullWorker } from './bull.ts';
import { inTime } from './in-time.ts';

/** A queue that is away cannot be told that jobs are done, nor that a worker leaves: this long is waited for it. */
const CLOSE_MS = 2_000;

/** A BullMQ worker as the project knows it. */
export function asJobWorker(worker: BullWorker): JobWorker {
  return {
    pause: () => worker.pause(true),
    resume: async () => {
      await worker.resume();
    },
    close: async (answers) => {
      const closed = worker.close();
      closed.catch(() => {
        // Told below, unless nobody waits for it any more.
      });
      // What is under way is finished, however long it takes, unless nobody is there to be told.
      while (!(await inTime(closed, CLOSE_MS))) if (!(await answers())) return;
    },
  };
}
