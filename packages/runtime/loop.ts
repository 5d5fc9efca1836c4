import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Bell } from './bell.ts';

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;

/** Waits, or returns at once when the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/**
 * Does `step` again and again until the signal is aborted. `step` gives the milliseconds to wait before the next one.
 * A step that throws is logged once for each run of failures and repeated with growing waits: a database or a site
 * that is away must not end a service.
 */
export async function loop(
  name: string,
  options: {
    readonly signal: AbortSignal;
    readonly log: Logger;
    /** Its ringing begins the next step at once. */
    readonly bell?: Bell;
  },
  step: () => Promise<number>,
): Promise<void> {
  const { signal, log, bell = new Bell() } = options;
  let failures = 0;
  while (!signal.aborted) {
    let wait: number;
    try {
      wait = await step();
      if (failures > 0) log.info({ failures }, `${name} works again`);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      wait =
        Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 10)) *
        (0.5 + Math.random() / 2);
      if (failures === 1) log.warn({ err: error }, `${name} failed and is tried again`);
      else log.debug({ err: error, failures }, `${name} failed again`);
    }
    await bell.wait(wait, signal);
  }
}

/** Does `work` until it succeeds or the signal is aborted (then throws the signal's reason). */
export async function untilDone<T>(
  name: string,
  options: { readonly signal: AbortSignal; readonly log: Logger },
  work: () => Promise<T>,
): Promise<T> {
  let result: { readonly value: T } | undefined;
  const done = new AbortController();
  await loop(name, { signal: AbortSignal.any([options.signal, done.signal]), log: options.log }, async () => {
    result = { value: await work() };
    done.abort();
    return 0;
  });
  if (result === undefined) throw options.signal.reason;
  return result.value;
}
