import { NotCompiled } from '../pass-through.ts';
import type { ScalarComparison } from './scalar.ts';

const UNITS: ReadonlySet<unknown> = new Set(['HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR']);
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DATE_TIME = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?Z?$/;
/** Beyond this, intervals leave what PostgreSQL can hold. */
const COUNT_MAX = 100_000;

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
  // 30 February is a date to nobody.
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== text.slice(0, 10))
    return invalid('date expected');
  return text;
}

/** date and date_time (protocol §4.3): to the second, in UTC. */
export function timeCondition(comparison: ScalarComparison): string {
  const { column, relation, values, parameters, now } = comparison;
  const isDate = comparison.sqlType === 'date';
  const cast = isDate ? 'date' : 'timestamptz';
  if (relation === 'in_last' || relation === 'in_next') return spanCondition(comparison, isDate);
  if (relation.startsWith('in_calendar_')) {
    const unit = relation.slice('in_calendar_'.length);
    const [offset] = values;
    if (values.length !== 1 || !Number.isSafeInteger(offset) || Math.abs(offset as number) > COUNT_MAX) {
      return invalid('one whole number expected');
    }
    const start = `date_trunc('${unit}', ${parameters.add(now.toISOString(), 'timestamptz')} at time zone 'UTC')`;
    const moment = isDate ? `${column}::timestamp` : `(${column} at time zone 'UTC')`;
    const count = parameters.add(offset, 'integer');
    return `${moment} >= ${start} + ${count} * interval '1 ${unit}' and ${moment} < ${start} + (${count} + 1) * interval '1 ${unit}'`;
  }
  const at = (value: unknown): string => parameters.add(canonical(value, isDate), cast);
  const [a, b] = values;
  switch (relation) {
    case 'is':
    case 'in':
      return values
        .map((value) => (value === null ? `${column} is null` : `${column} = ${at(value)}`))
        .join(' or ');
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

/** in_last, in_next: from now back or on; on dates both ends are days, today included. */
function spanCondition(
  { column, relation, values, parameters, now }: ScalarComparison,
  isDate: boolean,
): string {
  const [count, unit] = values;
  if (values.length !== 2 || !UNITS.has(unit)) return invalid('a number and a unit expected');
  if (!Number.isSafeInteger(count) || (count as number) < 1 || (count as number) > COUNT_MAX)
    return invalid('a number expected');
  const seconds = `${now.toISOString().slice(0, 19)}Z`;
  const from = `(${parameters.add(seconds, 'timestamptz')} at time zone 'UTC')`;
  const span = `${parameters.add(count, 'integer')} * interval '1 ${String(unit).toLowerCase()}'`;
  const other = `(${from} ${relation === 'in_last' ? '-' : '+'} ${span})`;
  if (isDate) return `${column} between symmetric ${from}::date and ${other}::date`;
  return `(${column} at time zone 'UTC') between symmetric ${from} and ${other}`;
}
