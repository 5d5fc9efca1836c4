/** Who asks the site, most urgent first. */
export const PRIORITIES = ['client', 'poll', 'refresh', 'scan', 'audit'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** One number for each priority. */
export type ByPriority = Readonly<Record<Priority, number>>;

export const NONE: ByPriority = { client: 0, poll: 0, refresh: 0, scan: 0, audit: 0 };

/** The limit of requests to the site that everybody shares. */
export interface RequestBudget {
  /** Waits for a place. Whoever gets one must release it. @throws the signal's reason when aborted. */
  acquire(priority: Priority, signal?: AbortSignal): Promise<{ release(): void }>;
}

/** What one process may do now, changed as it gets a greater or smaller part of what all may do. */
export interface Allotment extends RequestBudget {
  /** How many requests may be under way at once from now on. More may be until those under way end. */
  setPlaces(places: number): void;
  /** Adds starts of requests of a priority; without a limit of the rate there are always enough. */
  addStarts(starts: ByPriority): void;
  /** Takes back the starts that were not used. */
  takeStarts(): ByPriority;
  /** Requests under way, of all priorities. */
  readonly inUse: number;
  /** By priority, the most that were under way or waited at once since it was last asked. */
  peak(): ByPriority;
  /** Requests that wait. */
  readonly waiting: ByPriority;
}

/**
 * An allotment of no place. It gives its places to the most urgent who waits, first come first served among equals.
 * @param options.isRateLimited whether a request needs a start besides a place; a more urgent one may use a less urgent
 *   one's start.
 * @param options.onStarved called when a request has to wait.
 */
export function createAllotment(options: {
  readonly isRateLimited: boolean;
  readonly onStarved: () => void;
}): Allotment {
  const queues = new Map<Priority, (() => void)[]>(PRIORITIES.map((priority) => [priority, []]));
  const under = { ...NONE } as Record<Priority, number>;
  let peaks = { ...NONE } as Record<Priority, number>;
  let starts = { ...NONE } as Record<Priority, number>;
  let places = 0;
  let inUse = 0;

  const queueOf = (priority: Priority): (() => void)[] => queues.get(priority) ?? [];
  const notePeak = (priority: Priority): void => {
    peaks[priority] = Math.max(peaks[priority], under[priority] + queueOf(priority).length);
  };

  /** Takes a start of the priority's own or of a less urgent one. */
  const takeStart = (priority: Priority): boolean => {
    if (!options.isRateLimited) return true;
    const rank = PRIORITIES.indexOf(priority);
    const source = PRIORITIES.slice(rank).find((candidate) => starts[candidate] >= 1);
    if (source === undefined) return false;
    starts[source] -= 1;
    return true;
  };

  const serve = (): void => {
    for (const priority of PRIORITIES) {
      const queue = queueOf(priority);
      while (queue.length > 0) {
        if (inUse >= places) return;
        if (!takeStart(priority)) break;
        inUse += 1;
        under[priority] += 1;
        queue.shift()?.();
      }
    }
  };

  return {
    acquire: (priority, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const queue = queueOf(priority);
        const onAbort = (): void => {
          const place = queue.indexOf(grant);
          if (place >= 0) queue.splice(place, 1);
          reject(signal?.reason);
        };
        const grant = (): void => {
          signal?.removeEventListener('abort', onAbort);
          let held = true;
          resolve({
            release: () => {
              if (!held) return;
              held = false;
              inUse -= 1;
              under[priority] -= 1;
              serve();
            },
          });
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        queue.push(grant);
        notePeak(priority);
        serve();
        if (queue.includes(grant)) options.onStarved();
      }),
    setPlaces: (count) => {
      places = count;
      serve();
    },
    addStarts: (more) => {
      for (const priority of PRIORITIES) starts[priority] += more[priority];
      serve();
    },
    takeStarts: () => {
      const left = starts;
      starts = { ...NONE };
      return left;
    },
    get inUse() {
      return inUse;
    },
    peak: () => {
      const last = peaks;
      peaks = { ...NONE };
      for (const priority of PRIORITIES) notePeak(priority);
      return last;
    },
    get waiting() {
      return Object.fromEntries(
        PRIORITIES.map((priority) => [priority, queueOf(priority).length]),
      ) as unknown as ByPriority;
    },
  };
}

/**
 * A budget within this process: at most `concurrency` requests at once, given to the most urgent who waits, first
 * come first served among equals. @throws RangeError when `concurrency` is not a positive integer.
 */
export function localBudget(options: { readonly concurrency: number }): RequestBudget {
  if (!Number.isSafeInteger(options.concurrency) || options.concurrency < 1)
    throw new RangeError('a budget allows at least one request at once');
  const allotment = createAllotment({ isRateLimited: false, onStarved: () => {} });
  allotment.setPlaces(options.concurrency);
  return allotment;
}
