import { badRequest } from '../site-fault.ts';

const UNITS = ['HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR'] as const;
export type Unit = (typeof UNITS)[number];

/** Reads the two values of in_last and its kin. @throws SandboxFault as protocol §4.3 has it. */
export function parseSpan(
  place: string,
  relation: string,
  values: readonly unknown[],
): { count: number; unit: Unit } {
  if (values.length !== 2) {
    throw badRequest(
      `${place} '${relation}' 'relation' expects a 2-element array: ${JSON.stringify(values)}`,
    );
  }
  const [count, unit] = values;
  if (!Number.isSafeInteger(count) || (count as number) < 1) {
    throw badRequest(
      `${place} '${relation}' 'relation' expects a positive integer: ${JSON.stringify(count)}`,
    );
  }
  if (!UNITS.includes(unit as Unit)) {
    throw badRequest(
      `${place} '${relation}' 'relation' doesn't support the '${String(unit)}' time unit Valid time units: ${JSON.stringify(UNITS)}`,
    );
  }
  return { count: count as number, unit: unit as Unit };
}

/** The ends of the calendar that moments are written in. */
const FIRST = Date.parse('0001-01-01T00:00:00Z');
const LAST = Date.parse('9999-12-31T23:59:59Z');

/** The moment `count` units after (before, if negative) `from`, in UTC; months keep the day where they can. */
export function shift(from: Date, count: number, unit: Unit): Date {
  const moved = new Date(from);
  if (unit === 'HOUR') moved.setUTCHours(moved.getUTCHours() + count);
  if (unit === 'DAY') moved.setUTCDate(moved.getUTCDate() + count);
  if (unit === 'WEEK') moved.setUTCDate(moved.getUTCDate() + 7 * count);
  if (unit === 'MONTH' || unit === 'YEAR') {
    const day = moved.getUTCDate();
    moved.setUTCDate(1);
    moved.setUTCMonth(moved.getUTCMonth() + count * (unit === 'YEAR' ? 12 : 1));
    const last = new Date(Date.UTC(moved.getUTCFullYear(), moved.getUTCMonth() + 1, 0)).getUTCDate();
    moved.setUTCDate(Math.min(day, last));
  }
  // A span of a million years reaches to the end of the calendar, in either direction.
  const end = count < 0 ? FIRST : LAST;
  const time = moved.getTime();
  return new Date(Number.isNaN(time) ? end : Math.min(Math.max(time, FIRST), LAST));
}

/** The first moment of a day in UTC; Date.UTC takes the years before 100 for those of the twentieth century. */
export const dayOf = (year: number, month: number, day: number): Date =>
  new Date(new Date(0).setUTCFullYear(year, month, day));

/** First moment of a calendar span and of the one after it, in UTC; weeks begin on Monday. */
export function calendarSpan(
  now: Date,
  unit: 'day' | 'week' | 'month' | 'year',
  offset: number,
): [Date, Date] {
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  if (unit === 'day') return [dayOf(year, month, day + offset), dayOf(year, month, day + offset + 1)];
  if (unit === 'month') return [dayOf(year, month + offset, 1), dayOf(year, month + offset + 1, 1)];
  if (unit === 'year') return [dayOf(year + offset, 0, 1), dayOf(year + offset + 1, 0, 1)];
  const monday = day - ((now.getUTCDay() + 6) % 7) + 7 * offset;
  return [dayOf(year, month, monday), dayOf(year, month, monday + 7)];
}
