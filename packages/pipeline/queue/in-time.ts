import { setTimeout as delay } from 'node:timers/promises';

/** Waits for something, but not for ever. @returns whether it came. @throws what it throws in time. */
export async function inTime(work: Promise<unknown>, ms: number): Promise<boolean> {
  const over = new AbortController();
  const late = delay(ms, false, { signal: over.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    over.abort();
  }
}
