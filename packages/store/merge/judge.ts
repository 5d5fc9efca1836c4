import { isDeepStrictEqual } from 'node:util';
import type { Json } from '@understudy/domain/entity';

/** What the replica knows of one value of a row. */
export interface KnownField {
  readonly value: Json;
  /** Tick of the last event or write that set it since the fetch; 0 if none did. */
  readonly stamp: number;
  /** Tick of the row's last complete fetch. */
  readonly fetchedTick: number;
  /** The site's clock at that fetch, milliseconds. */
  readonly siteTime: number | null;
}

/** What an event or write says of one value of a row. */
export interface FieldChange {
  readonly value: Json;
  readonly tick: number;
  /** When it happened by the site's clock; null: it is certain. */
  readonly siteTime: Date | null;
  /** Only a later moment replaces an earlier one. */
  readonly latest: boolean;
}

export type Verdict = 'apply' | 'keep' | 'doubt';

/** The site's clock is read from HTTP dates and event times, both to the second. */
const CLOCK_RESOLUTION_MS = 1_000;

export function isSame(a: Json, b: Json): boolean {
  return a === b || (typeof a === 'object' && typeof b === 'object' && isDeepStrictEqual(a, b));
}

/** Decides what becomes of a change; the rules are the design's (see "Time: one logical clock"). */
export function judge(known: KnownField, change: FieldChange): Verdict {
  if (change.tick <= known.fetchedTick) return 'keep';
  // Whichever is told first: events are not always in the order of their times.
  if (change.latest)
    return typeof known.value === 'string' && known.value >= String(change.value) ? 'keep' : 'apply';
  if (change.tick <= known.stamp) return 'keep';
  if (isSame(known.value, change.value)) return 'apply';
  const mayBeContained =
    change.siteTime !== null &&
    known.siteTime !== null &&
    change.siteTime.getTime() <= known.siteTime + CLOCK_RESOLUTION_MS;
  return mayBeContained ? 'doubt' : 'apply';
}
