import {
  type ByPriority,
  createAllotment,
  NONE,
  PRIORITIES,
  type RequestBudget,
} from '@understudy/site-client/budget';
import pg from 'pg';
import { renewShare, returnShare, type Share } from './share.ts';

export interface SharedBudgetOptions {
  readonly databaseUrl: string;
  /** This process, unlike any other. */
  readonly holder: string;
  /** Requests at once, of all processes. */
  readonly concurrency: number;
  /** Requests a second, of all processes; 0: no limit. */
  readonly ratePerSecond: number;
  /** Places that are kept ready, for a process whose clients should not wait. */
  readonly spare: number;
  /** Told when the database is away and when it is back. */
  readonly onChange?: (state: 'shared' | 'alone', error?: unknown) => void;
}

export interface SharedBudget extends RequestBudget {
  /** Gives everything back. Requests under way go on. */
  close(): Promise<void>;
}

/** How often the share is renewed: what others do not need is here, and what they need is theirs, after this long. */
const RENEW_MS = 250;
/** A process that uses nothing asks less often. */
const IDLE_RENEW_MS = 1_000;
/** A request that has to wait has the share renewed at once, but not more often than this. */
const HURRY_MS = 25;
/** The same while others use everything. */
const SATURATED_HURRY_MS = 100;
/** A share that was not renewed for this long is somebody else's. */
const LEASE_MS = 4_000;
/** How long before that a process stops to count on it. */
const MARGIN_MS = 1_000;
const STATEMENT_TIMEOUT_MS = 2_000;
/** How many processes there are, for one that has never heard of the others. */
const HOLDERS_GUESS = 8;

/**
 * The budget of all processes together, through PostgreSQL: each holds a share of the places (and starts) for a short
 * time and uses it without asking; every quarter of a second, and when a request has to wait, it is renewed by what
 * everybody needs. What a killed process held comes back when its lease ends. While PostgreSQL is away each process goes
 * on with an equal part of the limit.
 */
export function sharedBudget(options: SharedBudgetOptions): SharedBudget {
  const { concurrency, ratePerSecond } = options;
  const isRateLimited = ratePerSecond > 0;
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    max: 1,
    application_name: `budget of ${options.holder}`,
    connectionTimeoutMillis: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    allowExitOnIdle: true,
  });
  pool.on('error', () => {
    // An idle connection broke; the next renewal says so if PostgreSQL is away.
  });
  pool.on('connect', (client) => {
    client.on('error', () => {
      // It broke between two queries of a renewal: the next one says so. Unheard, it would end the process.
    });
  });
  let timer: NodeJS.Timeout | undefined;
  let renewing: Promise<void> | null = null;
  let isHurried = false;
  let isClosed = false;
  let renewedAt = Number.NEGATIVE_INFINITY;
  let validUntil = Number.NEGATIVE_INFINITY;
  let holders = HOLDERS_GUESS;
  let state: 'shared' | 'alone' | 'new' = 'new';
  let used: ByPriority = NONE;
  /** Nobody could give more the last time. */
  let isSaturated = false;
  /** While alone: parts of starts saved up. */
  let owedStarts = 0;

  const allotment = createAllotment({
    isRateLimited,
    onStarved: () => {
      isHurried = true;
      if (renewing === null) plan(hurryMs() - (performance.now() - renewedAt));
    },
  });

  const hurryMs = (): number => (isSaturated ? SATURATED_HURRY_MS : HURRY_MS);

  const plan = (inMs: number): void => {
    if (isClosed) return;
    clearTimeout(timer);
    timer = setTimeout(
      () => {
        renewing = renew().finally(() => {
          renewing = null;
          const isWaiting = PRIORITIES.some((priority) => allotment.waiting[priority] > 0);
          const isIdle = allotment.inUse === 0 && !isWaiting && used === NONE;
          isSaturated = isWaiting;
          plan(isHurried ? hurryMs() : isIdle ? IDLE_RENEW_MS : RENEW_MS);
        });
      },
      Math.max(0, inMs),
    );
  };

  /** Goes on with an equal part of the limit. */
  const goAlone = (error: unknown): void => {
    const part = concurrency / holders;
    allotment.setPlaces(Math.max(1, Math.floor(part)));
    if (isRateLimited) {
      const elapsedMs = Math.min(IDLE_RENEW_MS, performance.now() - renewedAt);
      owedStarts = Math.min(
        Math.max(1, ratePerSecond / holders),
        owedStarts + (ratePerSecond / holders) * (elapsedMs / 1_000),
      );
      const starts = Math.floor(owedStarts);
      owedStarts -= starts;
      // Whoever is more urgent may use them as well.
      allotment.addStarts({ ...NONE, audit: starts });
    }
    if (state !== 'alone') options.onChange?.('alone', error);
    state = 'alone';
  };

  const renew = async (): Promise<void> => {
    isHurried = false;
    const askedAt = performance.now();
    const peak = allotment.peak();
    const { waiting } = allotment;
    const returned = allotment.takeStarts();
    used = PRIORITIES.some((priority) => peak[priority] > 0) ? peak : NONE;
    let share: Share;
    try {
      share = await renewShare(pool, {
        holder: options.holder,
        concurrency,
        ratePerSecond,
        leaseMs: LEASE_MS,
        spare: options.spare,
        wants: peak,
        inUse: allotment.inUse,
        starts: startsWanted(waiting, peak, options.spare),
        returned: PRIORITIES.reduce((sum, priority) => sum + returned[priority], 0),
      });
    } catch (error) {
      if (isRateLimited) allotment.addStarts(returned);
      if (performance.now() > validUntil) goAlone(error);
      renewedAt = performance.now();
      return;
    }
    renewedAt = performance.now();
    validUntil = askedAt + LEASE_MS - MARGIN_MS;
    holders = share.holders;
    if (state === 'alone') options.onChange?.('shared');
    state = 'shared';
    allotment.setPlaces(share.places);
    if (isRateLimited) allotment.addStarts(share.starts);
  };

  plan(0);
  return {
    acquire: allotment.acquire,
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await renewing;
      await returnShare(pool, options.holder).catch(() => {
        // PostgreSQL is away: the lease ends by itself.
      });
      await pool.end();
    },
  };
}

/** Starts to have at hand: for those that wait, and for as many as there were lately. */
function startsWanted(waiting: ByPriority, peak: ByPriority, spare: number): ByPriority {
  return Object.fromEntries(
    PRIORITIES.map((priority) => [
      priority,
      Math.max(waiting[priority], peak[priority], priority === 'client' ? spare : 0),
    ]),
  ) as unknown as ByPriority;
}
