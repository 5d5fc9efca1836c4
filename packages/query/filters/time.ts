import { NotCompiled } from '../pass-through.ts';
import { anyOf } from '../sql.ts';
import { listAlternatives, type ScalarComparison } from './scalar.ts';

/** Units of relative spans, and how many of each stay within the years that PostgreSQL and JavaScript both hold. */
const UNIT_COUNTS: ReadonlyMap<unknown, number> = new Map([
  ['HOUR', 1_000_000],
  ['DAY', 100_000],
  ['WEEK', 20_000],
  ['MONTH', 5_000],
  ['YEAR', 1_000],
]);
const HOURS_OF_A_DAY = 24;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DATE_TIME = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?Z?$/;

const invalid = (detail: string): never => {
  throw new NotCompiled('invalid filter', detail);
};

/** Gives a value as the column's type takes it; a date compared with a date_time is that day's first moment in UTC. */
function canonical(value: unknown, isDate: boolean): string {
  if (typeof value !== 'string') return invalid('date expected');
  const time = isDate ? null : DATE_TIME.exec(value);
  const text = DATE.test(value)
    ? isDate
      ? value
      : `${value}T00:00:00Z`
    : time === null
      ? ''
      : `${time[1]}Z`;
  const date = new Date(text);
  // 30 February is a date to nobody, and PostgreSQL has no year 0.
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== text.slice(0, 10))
    return invalid('date expected');
  if (text.startsWith('0000')) throw new NotCompiled('value in doubt', 'year 0');
  return text;
}

/** date and date_time (protocol §4.3): to the second, in UTC; weeks begin on Monday. */
export function timeCondition(comparison: ScalarComparison): string {
  const { column, relation, values, parameters } = comparison;
  const isDate = comparison.sqlType === 'date';
  if (relation === 'in_last' || relation === 'in_next') return spanCondition(comparison, isDate);
  if (relation.startsWith('in_calendar_')) return calendarCondition(comparison, isDate);
  const sqlType = isDate ? 'date' : 'timestamptz';
  const moments = values.map((value) => (value === null ? null : canonical(value, isDate)));
  const at = (value: unknown): string => parameters.add(value, sqlType);
  const [a, b] = moments;
  switch (relation) {
    case 'is':
      return a === null ? `${column} is null` : `${column} = ${at(a)}`;
    case 'in':
      return anyOf(listAlternatives(column, moments, sqlType, parameters));
    case 'less_than':
      return a === null ? 'false' : `${column} < ${at(a)}`;
    case 'greater_than':
      return a === null ? 'false' : `${column} > ${at(a)}`;
    case 'between':
      return a === null || b === null ? 'false' : `${column} between symmetric ${at(a)} and ${at(b)}`;
    default:
      return invalid(relation);
  }
}

function calendarCondition(
  { column, relation, values, parameters }: ScalarComparison,
  isDate: boolean,
): string {
  const unit = relation.slice('in_calendar_'.length);
  const [offset] = values;
  if (values.length !== 1 || !Number.isSafeInteger(offset)) return invalid('one whole number expected');
  if (Math.abs(offset as number) > (UNIT_COUNTS.get(unit.toUpperCase()) ?? 0))
    throw new NotCompiled('value in doubt', 'far away');
  const start = `date_trunc('${unit}', ${parameters.now()})`;
  const moment = isDate ? `${column}::timestamp` : `(${column} at time zone 'UTC')`;
  const count = parameters.add(offset, 'integer');
  return `${moment} >= ${start} + ${count} * interval '1 ${unit}' and ${moment} < ${start} + (${count} + 1) * interval '1 ${unit}'`;
}

/** in_last, in_next: from now back or on; on dates both ends are days, today included, and less than a day is today. */
function spanCondition({ column, relation, values, parameters }: ScalarComparison, isDate: boolean): string {
  const [count, unit] = values;
  const countMax = UNIT_COUNTS.get(unit);
  if (values.length !== 2 || countMax === undefined) return invalid('a number and a unit expected');
  if (!Number.isSafeInteger(count) || (count as number) < 1) return invalid('a positive number expected');
  if ((count as number) > countMax) throw new NotCompiled('value in doubt', 'far away');
  const now = parameters.now();
  if (isDate && unit === 'HOUR') {
    // Which days more hours than those of a day reach is not known.
    if ((count as number) >= HOURS_OF_A_DAY) throw new NotCompiled('value in doubt', 'hours of a date');
    return `${column} = ${now}::date`;
  }
  const span = `${parameters.add(count, 'integer')} * interval '1 ${String(unit).toLowerCase()}'`;
  const other = `(${now} ${relation === 'in_last' ? '-' : '+'} ${span})`;
  if (isDate) return `${column} between symmetric ${now}::date and ${other}::date`;
  return `(${column} at time zone 'UTC') between symmetric ${now} and ${other}`;
}
