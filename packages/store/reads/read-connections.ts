import { type Ask, ReadLane } from './read-lane.ts';
import type { RowBytes } from './row-bytes.ts';
import type { TextStatement } from './statement-bytes.ts';
import { createStatementCosts } from './statement-costs.ts';

/** Connections that run prepared statements for many askers at once. */
export interface ReadConnections {
  /**
   * Runs a statement.
   * @param read makes what is wanted of its rows, which are good until it returns.
   * @throws what PostgreSQL or the network says, or `read`.
   */
  rows<T>(statement: TextStatement, values: readonly unknown[], read: (rows: RowBytes) => T): Promise<T>;
  /** Runs a statement. @returns the texts of its only column, row by row. @throws what PostgreSQL or the network says. */
  texts(statement: TextStatement, values: readonly unknown[]): Promise<readonly string[]>;
  /** How many connections were lost so far: where one is lost, what was seen through it may be lost as well. */
  readonly losses: number;
  close(): Promise<void>;
}

export interface ReadConnectionsOptions {
  readonly url: string;
  /** Connections at most. */
  readonly size: number;
  readonly applicationName: string;
  /** A statement that takes longer is ended by PostgreSQL. */
  readonly timeoutMs: number;
}

/** Statements on their way in one connection; what is beyond waits here, where it can take whichever is free first. */
const DEPTH_MAX = 32;
/** A connection that has not answered for so long may be busy with something slow: others are taken before it. */
const SLOW_MS = 10;
/**
 * A lane with more to do than this takes no more: what waits here goes to whichever lane is free first, while what was sent
 * to one whose process has to wait for the processor waits with it.
 */
const BUSY_MS = 0.5;
/**
 * Statements that take longer than this gain little by going out together, and lose much where the process of their lane
 * has to wait: they are given to lanes with less to do.
 */
const LONG_MS = 0.16;
const BUSY_FOR_LONG_MS = 0.1;
/** More lanes are not opened for being busy alone: they would only wait for the same cores. */
const BUSY_LANES = 6;
/** Counts as so much to do. */
const SLOW_LANE_MS = 10_000;
/** How much longer than a statement may take a silent connection is believed to be alive. */
const SILENT_MS = 5_000;
const WATCH_MS = 1_000;

/** How long no further connection is tried after one could not be opened. */
const REOPEN_MS = 1_000;

/** How many statements went out together lately, on average; how much of it the last time counts. */
const TOGETHER_SHARE = 1 / 16;
/** While fewer go out together, whoever asks is alone. */
const ALONE = 1.2;

/**
 * Opens connections as they are needed. Statements go out in one write and come back in one read for all who ask at the
 * same moment: beside a pool that gives each asker a connection, 32 askers of a single row cost two
 * thirds of the processor time. Most of the time one or two connections are enough; another is opened only while those
 * are slow to answer, or have more to do than one of PostgreSQL's processes does soon.
 */
export function openReadConnections(options: ReadConnectionsOptions): ReadConnections {
  const lanes = new Set<ReadLane>();
  const waiting: Ask[] = [];
  const costs = createStatementCosts();
  let isFlushing = false;
  let together = 1;
  let isLookingAgain = false;
  let losses = 0;
  let isClosed = false;
  let failedAt = Number.NEGATIVE_INFINITY;

  const open = (): void => {
    const lane: ReadLane = new ReadLane(
      options,
      {
        ready: () => flush(),
        lost: (error, wasReady) => {
          if (!lanes.delete(lane)) return;
          losses += 1;
          if (!wasReady) failedAt = performance.now();
          // What was sent has been failed; what waits has nobody to wait for if this was the last.
          if (![...lanes].some((other) => other.isReady))
            for (const { settle } of waiting.splice(0)) settle(error, null);
        },
        answered: () => answered(lane),
      },
      costs.learn,
    );
    lanes.add(lane);
  };

  const isBusy = (lane: ReadLane, expectedMs: number): boolean =>
    lane.backlogMs > (expectedMs > LONG_MS ? BUSY_FOR_LONG_MS : BUSY_MS);

  /**
   * The first lane that will soon be through with what it has, so that few lanes have much to do at once; else the one that
   * answers soonest, as far as one can tell; null if all are full.
   */
  const best = (now: number, expectedMs: number): ReadLane | null => {
    let found: ReadLane | null = null;
    let foundMs = Number.POSITIVE_INFINITY;
    for (const lane of lanes) {
      if (!lane.isReady || lane.isRetired || lane.depth >= DEPTH_MAX) continue;
      const ms = isSlow(lane, now) ? lane.backlogMs + SLOW_LANE_MS : lane.backlogMs;
      if (!isBusy(lane, expectedMs) && ms < SLOW_LANE_MS) return lane;
      if (ms < foundMs) {
        found = lane;
        foundMs = ms;
      }
    }
    return found;
  };

  const isSlow = (lane: ReadLane, now: number): boolean => lane.depth > 0 && now - lane.heardAt > SLOW_MS;

  const isOpening = (): boolean => {
    for (const lane of lanes) if (!lane.isReady) return true;
    return false;
  };

  const mayOpen = (now: number): boolean => {
    if (lanes.size >= options.size || isOpening()) return false;
    return lanes.size === 0 || now - failedAt > REOPEN_MS;
  };

  const flush = (): void => {
    isFlushing = false;
    const now = performance.now();
    const used = new Set<ReadLane>();
    let sent = 0;
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const expectedMs = costs.of(next.statement.name);
      const lane = best(now, expectedMs);
      const isLate = lane === null || isSlow(lane, now);
      const waits = lane !== null && !isLate && isBusy(lane, expectedMs);
      if ((isLate || (waits && lanes.size < BUSY_LANES)) && mayOpen(now)) open();
      // A connection that is being opened answers sooner than one that is busy with something slow.
      if (lane === null || waits || (isLate && isOpening())) break;
      waiting.shift();
      used.add(lane);
      sent += 1;
      lane.put(next, now, expectedMs);
    }
    for (const lane of used) lane.flush();
    if (sent > 0) together += (sent - together) * TOGETHER_SHARE;
    if (waiting.length > 0) lookAgain();
  };

  /** Those that everybody waits for may not answer for long: then they are slow, and others are taken or opened. */
  const lookAgain = (): void => {
    if (isLookingAgain) return;
    isLookingAgain = true;
    setTimeout(() => {
      isLookingAgain = false;
      if (waiting.length > 0) flush();
    }, SLOW_MS + 1);
  };

  const answered = (lane: ReadLane): void => {
    if (lane.isRetired && lane.depth === 0) {
      lanes.delete(lane);
      void lane.close();
    }
    if (waiting.length > 0) flushSoon();
  };

  /** Whoever else asks, or is answered, in this turn of the event loop goes out with it. */
  const flushSoon = (): void => {
    if (isFlushing) return;
    isFlushing = true;
    setImmediate(flush);
  };

  const watch = setInterval(() => {
    const silentSince = performance.now() - options.timeoutMs - SILENT_MS;
    for (const lane of lanes) {
      // PostgreSQL ends what takes too long; if not even that is heard of, the network is gone.
      if (lane.depth > 0 && lane.heardAt < silentSince) lane.break(new Error('PostgreSQL is silent'));
    }
    if (waiting.length > 0) flush();
  }, WATCH_MS);
  watch.unref();

  const ask: ReadConnections['rows'] = (statement, values, read) =>
    new Promise((resolve, reject) => {
      if (isClosed) {
        reject(new Error('the connections are closed'));
        return;
      }
      waiting.push({
        statement,
        values,
        settle: (error, rows) => {
          if (rows === null) {
            reject(error);
            return;
          }
          try {
            resolve(read(rows));
          } catch (failure) {
            reject(failure);
          }
        },
      });
      if (isAlone()) flush();
      else flushSoon();
    });

  /** Whether nobody else is likely to ask in this turn of the event loop: waiting for its end would gain nothing. */
  const isAlone = (): boolean => {
    if (together > ALONE || waiting.length > 1 || isFlushing) return false;
    for (const lane of lanes) if (lane.depth > 0) return false;
    return true;
  };

  return {
    get losses() {
      return losses;
    },
    rows: ask,
    texts: (statement, values) => ask(statement, values, (rows) => rows.texts()),
    close: async () => {
      isClosed = true;
      clearInterval(watch);
      await Promise.all([...lanes].map((lane) => lane.close()));
    },
  };
}
