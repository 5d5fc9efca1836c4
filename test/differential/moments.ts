import fc from 'fast-check';

/** Ends of months, years and weeks, leap days, and the hours in which clocks change elsewhere. */
const TURNING_POINTS = [
  '2024-02-29T00:00:00Z',
  '2024-02-29T23:59:59Z',
  '2024-03-01T00:00:00Z',
  '2024-03-31T12:00:00Z',
  '2025-03-30T01:30:00Z',
  '2025-02-28T23:59:59Z',
  '2025-12-31T23:59:59Z',
  '2026-01-01T00:00:00Z',
  '2026-10-25T01:00:00Z',
  '2026-11-22T23:59:59Z',
  '2026-11-23T00:00:00Z',
  '2026-11-30T12:00:00Z',
  '2027-01-01T00:00:00Z',
  '2027-01-03T23:59:59Z',
  '1970-01-01T00:00:00Z',
] as const;

/** Times as a site keeps them, near the turning points and between them. */
export const TIMES: readonly string[] = [...TURNING_POINTS, '2026-11-23T12:00:00Z', '1969-12-31T23:59:59Z'];
export const DAYS: readonly string[] = [...new Set(TIMES.map((time) => time.slice(0, 10))), '0999-12-31'];

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

/** When a filter is asked: relative spans end at turning points, or near them, to the millisecond. */
export const randomMoment: fc.Arbitrary<Date> = fc
  .tuple(
    fc.constantFrom(...TURNING_POINTS),
    fc.constantFrom(
      0,
      0,
      0,
      1,
      SECOND,
      -1,
      -SECOND,
      HOUR,
      -HOUR,
      DAY,
      -DAY,
      7 * DAY,
      -7 * DAY,
      31 * DAY,
      365 * DAY,
    ),
  )
  .map(([at, step]) => new Date(Date.parse(at) + step));
