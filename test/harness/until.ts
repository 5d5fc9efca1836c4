import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until `condition` gives something other than undefined, null or false, asking again every `everyMs`.
 * @returns what it gave.
 * @throws Error naming `what`, with the last error of the condition as its cause, after `timeoutMs`.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, everyMs = 50 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`timed out after ${timeoutMs} ms: ${what}`, { cause });
    await sleep(everyMs);
  }
}
