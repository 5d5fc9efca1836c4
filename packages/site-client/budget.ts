/** Who asks the site, most urgent first. */
export const PRIORITIES = ['client', 'poll', 'refresh', 'scan', 'audit'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** The limit of requests to the site that everybody shares. */
export interface RequestBudget {
  /** Waits for a place. Whoever gets one must release it. @throws the signal's reason when aborted. */
  acquire(priority: Priority, signal?: AbortSignal): Promise<{ release(): void }>;
}

interface Waiter {
  readonly grant: () => void;
}

/**
 * A budget within this process: at most `concurrency` requests at once, given to the most urgent who waits, first
 * come first served among equals. @throws RangeError when `concurrency` is not a positive integer.
 */
export function localBudget(options: { readonly concurrency: number }): RequestBudget {
  const waiting = new Map<Priority, Waiter[]>(PRIORITIES.map((priority) => [priority, []]));
  if (!Number.isSafeInteger(options.concurrency) || options.concurrency < 1)
    throw new RangeError('a budget allows at least one request at once');
  let free = options.concurrency;

  const next = (): void => {
    for (const priority of PRIORITIES) {
      if (free === 0) return;
      const queue = waiting.get(priority) ?? [];
      while (free > 0 && queue.length > 0) {
        free -= 1;
        queue.shift()?.grant();
      }
    }
  };

  return {
    acquire: (priority, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const queue = waiting.get(priority) ?? [];
        const onAbort = (): void => {
          const place = queue.indexOf(waiter);
          if (place >= 0) queue.splice(place, 1);
          reject(signal?.reason);
        };
        const waiter: Waiter = {
          grant: () => {
            signal?.removeEventListener('abort', onAbort);
            let held = true;
            resolve({
              release: () => {
                if (!held) return;
                held = false;
                free += 1;
                next();
              },
            });
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        queue.push(waiter);
        next();
      }),
  };
}
