/** Whether the site answers, as everybody who asks it has seen. */
export interface SiteReach {
  /** True from a request that got no answer until one that did. */
  readonly isAway: boolean;
  answered(): void;
  failed(): void;
  /** Waits until the site is found to be away, or `ms` have passed, or the signal is aborted. */
  untilAway(ms: number, signal: AbortSignal): Promise<void>;
}

/** Remembers the last outcome; the site is thought to be there until it fails. */
export function createSiteReach(): SiteReach {
  let isAway = false;
  const waiting = new Set<() => void>();
  return {
    get isAway() {
      return isAway;
    },
    answered: () => {
      isAway = false;
    },
    failed: () => {
      isAway = true;
      for (const wake of waiting) wake();
    },
    untilAway: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const wake = (): void => {
          waiting.delete(wake);
          clearTimeout(timer);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        signal.addEventListener('abort', wake, { once: true });
        waiting.add(wake);
      }),
  };
}
