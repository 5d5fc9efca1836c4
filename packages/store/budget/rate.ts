import { type ByPriority, NONE, PRIORITIES, type Priority } from '@understudy/site-client/budget';

/** What a less urgent priority leaves in the bucket for those before it, as a share of what it holds when full. */
const RESERVES: ByPriority = { client: 0, poll: 0.05, refresh: 0.15, scan: 0.4, audit: 0.6 };
/** How much may be saved up. */
const BURST_MS = 1_000;

/** Starts of requests that may be taken, refilled steadily. */
export interface Bucket {
  readonly starts: number;
  /** Milliseconds by the database's clock. */
  readonly at: number;
}

/** The bucket later on, with what was given back. */
export function refill(bucket: Bucket, ratePerSecond: number, now: number, returned: number): Bucket {
  const full = Math.max(1, (ratePerSecond * BURST_MS) / 1_000);
  const grown = bucket.starts + returned + (Math.max(0, now - bucket.at) / 1_000) * ratePerSecond;
  return { starts: Math.min(full, grown), at: Math.max(now, bucket.at) };
}

/** Takes what is wanted, by priority, as far as it goes. @returns what is given, and the bucket after it. */
export function take(
  bucket: Bucket,
  ratePerSecond: number,
  wants: ByPriority,
): { readonly given: ByPriority; readonly bucket: Bucket } {
  const full = Math.max(1, (ratePerSecond * BURST_MS) / 1_000);
  const given = { ...NONE } as Record<Priority, number>;
  let { starts } = bucket;
  for (const priority of PRIORITIES) {
    const reserve = RESERVES[priority] * (full - 1);
    const free = Math.floor(starts - reserve);
    given[priority] = Math.max(0, Math.min(wants[priority], free));
    starts -= given[priority];
  }
  return { given, bucket: { ...bucket, starts } };
}
