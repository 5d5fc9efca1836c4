import type { Duplex } from 'node:stream';
import pg from 'pg';
import { createStatementCosts } from './statement-costs.ts';
import { TextQuery, type TextStatement } from './text-query.ts';

/** Connections that run prepared statements for many askers at once. */
export interface ReadConnections {
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

const CONNECT_TIMEOUT_MS = 5_000;
/** Statements on their way in one connection; what is beyond waits here, where it can take whichever is free first. */
const DEPTH_MAX = 32;
/** A connection that has not answered for so long may be busy with something slow: others are taken before it. */
const SLOW_MS = 10;
/** PostgreSQL keeps each prepared statement in the memory of its connection; one with this many is replaced. */
const STATEMENTS_MAX = 1_000;
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

/** A statement that is not on its way yet. */
interface Waiting {
  readonly statement: TextStatement;
  readonly values: readonly unknown[];
  readonly resolve: (texts: readonly string[]) => void;
  readonly reject: (error: unknown) => void;
}

/** One connection, and what is on its way in it. */
interface Lane {
  readonly client: pg.Client;
  isReady: boolean;
  /** Takes no more, and is closed once it is empty. */
  isRetired: boolean;
  depth: number;
  /** How long what is on its way is expected to take PostgreSQL, milliseconds. */
  backlogMs: number;
  /** When it last answered, or was given something while it was empty. */
  heardAt: number;
  readonly names: Set<string>;
  /** What goes out with the present turn. */
  readonly outbox: Buffer[];
}

const streamOf = (client: pg.Client): Duplex =>
  (client as unknown as { readonly connection: { readonly stream: Duplex } }).connection.stream;

/**
 * Opens connections as they are needed. Statements go out in one write and come back in one read for all who ask at the
 * same moment (pg's pipeline): beside a pool that gives each asker a connection, 32 askers of a single row cost two
 * thirds of the processor time. Most of the time one or two connections are enough; another is opened only while those
 * are slow to answer, or have more to do than one of PostgreSQL's processes does soon.
 */
export function openReadConnections(options: ReadConnectionsOptions): ReadConnections {
  const lanes = new Set<Lane>();
  const waiting: Waiting[] = [];
  const costs = createStatementCosts();
  let isFlushing = false;
  let isLookingAgain = false;
  let losses = 0;
  let isClosed = false;
  let failedAt = Number.NEGATIVE_INFINITY;

  const open = (): void => {
    const client = new pg.Client({
      connectionString: options.url,
      application_name: options.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: options.timeoutMs,
      keepAlive: true,
      // What is read is in memory nearly always; PostgreSQL would take a page out of order to cost four in order. Where it takes
      // it to cost little more than one, it looks rows up one by one that are found together in less.
      options: '-c random_page_cost=1.5',
      pipeline: true,
    });
    const lane: Lane = {
      client,
      isReady: false,
      isRetired: false,
      depth: 0,
      backlogMs: 0,
      heardAt: performance.now(),
      names: new Set(),
      outbox: [],
    };
    lanes.add(lane);
    const lose = (error: unknown): void => {
      if (!lanes.delete(lane)) return;
      losses += 1;
      if (!lane.isReady) failedAt = performance.now();
      // pg fails what was sent; what waits has nobody to wait for if this was the last.
      if (![...lanes].some((other) => other.isReady))
        for (const { reject } of waiting.splice(0)) reject(error);
    };
    client.on('error', lose);
    client.on('end', () => lose(new Error('the connection to PostgreSQL ended')));
    client.connect().then(() => {
      lane.isReady = true;
      flush();
    }, lose);
  };

  const isBusy = (lane: Lane, expectedMs: number): boolean =>
    lane.backlogMs > (expectedMs > LONG_MS ? BUSY_FOR_LONG_MS : BUSY_MS);

  /**
   * The first lane that will soon be through with what it has, so that few lanes have much to do at once; else the one that
   * answers soonest, as far as one can tell; null if all are full.
   */
  const best = (now: number, expectedMs: number): Lane | null => {
    let found: Lane | null = null;
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

  const isSlow = (lane: Lane, now: number): boolean => lane.depth > 0 && now - lane.heardAt > SLOW_MS;

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
    const used = new Set<Lane>();
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
      send(lane, next, now, expectedMs);
    }
    for (const { client, outbox } of used) {
      const stream = streamOf(client);
      if (stream.writable) stream.write(outbox.length === 1 ? outbox[0] : Buffer.concat(outbox));
      outbox.length = 0;
    }
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

  const send = (lane: Lane, next: Waiting, now: number, expectedMs: number): void => {
    const { statement, values, resolve, reject } = next;
    if (lane.depth === 0) lane.heardAt = now;
    lane.depth += 1;
    lane.backlogMs += expectedMs;
    lane.names.add(statement.name);
    if (lane.names.size >= STATEMENTS_MAX) lane.isRetired = true;
    const query = new TextQuery(statement, values, lane.outbox, (error, texts) => {
      if (error === null) resolve(texts);
      else reject(error);
      const heardAt = performance.now();
      costs.learn(statement.name, heardAt - lane.heardAt);
      lane.heardAt = heardAt;
      lane.depth -= 1;
      lane.backlogMs = lane.depth === 0 ? 0 : lane.backlogMs - expectedMs;
      answered(lane);
    });
    lane.client.query(query);
  };

  const answered = (lane: Lane): void => {
    if (lane.isRetired && lane.depth === 0) {
      lanes.delete(lane);
      lane.client.end().catch(() => {
        // It was closed from the other side; nobody needs it any more.
      });
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
      if (lane.depth > 0 && lane.heardAt < silentSince)
        streamOf(lane.client).destroy(new Error('PostgreSQL is silent'));
    }
    if (waiting.length > 0) flush();
  }, WATCH_MS);
  watch.unref();

  return {
    get losses() {
      return losses;
    },
    texts: (statement, values) =>
      new Promise((resolve, reject) => {
        if (isClosed) {
          reject(new Error('the connections are closed'));
          return;
        }
        waiting.push({ statement, values, resolve, reject });
        flushSoon();
      }),
    close: async () => {
      isClosed = true;
      clearInterval(watch);
      await Promise.all(
        [...lanes].map((lane) =>
          lane.client.end().catch(() => {
            // It was broken already.
          }),
        ),
      );
    },
  };
}
