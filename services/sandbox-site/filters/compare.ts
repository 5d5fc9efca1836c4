import type { FilterFamily, Relation } from '@understudy/domain/data-types/data-type';
import { type EntityLink, isEntityRef, type Json } from '@understudy/domain/entity';
import { badRequest } from '../site-fault.ts';
import { calendarSpan, parseSpan, shift } from './relative-time.ts';

export interface Comparison {
  /** The API method that is answered, for messages. */
  readonly method: string;
  /** `Shot.code`, for messages. */
  readonly place: string;
  /** What a link there may lead to, for messages. */
  readonly validTypes: readonly string[];
  readonly relation: Relation;
  readonly values: readonly Json[];
  readonly now: Date;
}

type Test = (value: Json) => boolean;

/** Negative operators also match where the field is null (protocol §4.3): each is "not" its positive. */
export const NEGATIVE: Readonly<Partial<Record<Relation, Relation>>> = {
  is_not: 'is',
  not_in: 'in',
  not_contains: 'contains',
  not_between: 'between',
  not_in_last: 'in_last',
  not_in_next: 'in_next',
  type_is_not: 'type_is',
  name_not_contains: 'name_contains',
};

const SINGLE_VALUE: ReadonlySet<Relation> = new Set([
  'is',
  'contains',
  'starts_with',
  'ends_with',
  'less_than',
  'greater_than',
  'type_is',
  'name_is',
  'name_contains',
  'name_starts_with',
  'name_ends_with',
]);

const fold = (value: Json): string => String(value).toLowerCase();

function expectClass(comparison: Comparison, expected: string, fits: (value: Json) => boolean): void {
  for (const value of comparison.values) {
    if (fits(value)) continue;
    const got =
      value === null
        ? 'NilClass'
        : Array.isArray(value)
          ? 'Array'
          : typeof value === 'object'
            ? 'Hash'
            : rubyClass(value);
    throw badRequest(
      `API ${comparison.method}() ${comparison.place} expected [${expected}] data type(s) but got ${got}: ${JSON.stringify(value)}`,
    );
  }
}

function rubyClass(value: Json): string {
  if (typeof value === 'string') return 'String';
  if (typeof value === 'number') return Number.isInteger(value) ? 'Integer' : 'Float';
  return value === true ? 'TrueClass' : 'FalseClass';
}

function textTest(comparison: Comparison): Test {
  const nullable = comparison.relation === 'is';
  expectClass(
    comparison,
    nullable ? 'String, NilClass' : 'String',
    (v) => typeof v === 'string' || (nullable && v === null),
  );
  const wanted = comparison.values.map((v) => (v === '' ? null : v));
  const [first] = wanted;
  const text = fold(first ?? '');
  switch (comparison.relation) {
    case 'is':
      return first === null ? (v) => v === null : (v) => v !== null && fold(v) === text;
    case 'in':
      return (v) => wanted.some((w) => (w === null ? v === null : v !== null && fold(v) === fold(w)));
    case 'contains':
      return (v) => v !== null && fold(v).includes(text);
    case 'starts_with':
      return (v) => v !== null && fold(v).startsWith(text);
    default:
      return (v) => v !== null && fold(v).endsWith(text);
  }
}

function orderedTest(comparison: Comparison, parse: (value: Json) => number): Test {
  const wanted = comparison.values.map((v) => (v === null ? null : parse(v)));
  const [a, b] = wanted;
  const number = (v: Json): number => parse(v);
  switch (comparison.relation) {
    case 'is':
    case 'in':
      return (v) => wanted.some((w) => (w === null ? v === null : v !== null && number(v) === w));
    case 'less_than':
      return (v) => v !== null && typeof a === 'number' && number(v) < a;
    case 'greater_than':
      return (v) => v !== null && typeof a === 'number' && number(v) > a;
    default: {
      if (typeof a !== 'number' || typeof b !== 'number') return () => false;
      return (v) => v !== null && number(v) >= Math.min(a, b) && number(v) <= Math.max(a, b);
    }
  }
}

const NUMBER = (v: Json): boolean => typeof v === 'number' || v === null;

function numberTest(comparison: Comparison): Test {
  expectClass(comparison, 'Integer, NilClass', NUMBER);
  if (comparison.relation === 'between') {
    const [a, b] = comparison.values;
    return (v) => typeof v === 'number' && typeof a === 'number' && typeof b === 'number' && v >= a && v <= b;
  }
  return orderedTest(comparison, Number);
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** uuid: the empty text is unset, a malformed one is refused (protocol §4.3). */
function uuidTest(comparison: Comparison): Test {
  const { method, place, values } = comparison;
  expectClass(comparison, 'String', (v) => typeof v === 'string');
  for (const value of values) {
    if (value === '' || UUID.test(String(value))) continue;
    throw badRequest(`API ${method}() ${place} expected a uuid but got ${JSON.stringify(value)}`);
  }
  return (v) => values.some((w) => (w === '' ? v === null : v === String(w).toLowerCase()));
}

const HOURS_OF_A_DAY = 24;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z?$/;

/** date and date_time: moments in UTC; a date is its first moment. */
function timeTest(comparison: Comparison, isDate: boolean): Test {
  const { relation, place, values, now } = comparison;
  const moment = (v: Json): number =>
    Math.floor(Date.parse(`${String(v).slice(0, 10)}T${timeOf(v)}Z`) / 1000);
  if (relation.startsWith('in_calendar_')) {
    const unit = relation.slice('in_calendar_'.length) as 'day' | 'week' | 'month' | 'year';
    if (values.length !== 1 || !Number.isSafeInteger(values[0])) {
      throw badRequest(
        `API ${comparison.method}() ${place} '${relation}' 'relation' expects a 1-element array: ${JSON.stringify(values)}`,
      );
    }
    const [from, to] = calendarSpan(now, unit, values[0] as number).map((date) => date.getTime() / 1000) as [
      number,
      number,
    ];
    return (v) => v !== null && moment(v) >= from && moment(v) < to;
  }
  if (relation === 'in_last' || relation === 'in_next') {
    const { count, unit } = parseSpan(`API ${comparison.method}() ${place}`, relation, values);
    // On dates a span of less than a day is today (protocol §4.3).
    const isToday = isDate && unit === 'HOUR' && count < HOURS_OF_A_DAY;
    const other = isToday ? now : shift(now, relation === 'in_last' ? -count : count, unit);
    const ends = [now, other].map((date) =>
      isDate ? date.toISOString().slice(0, 10) : `${date.toISOString().slice(0, 19)}Z`,
    );
    const [from, to] = ends.map(moment).sort((x, y) => x - y) as [number, number];
    return (v) => v !== null && moment(v) >= from && moment(v) <= to;
  }
  const fits = (v: Json): boolean =>
    v === null ||
    (typeof v === 'string' && (DATE.test(v) || (!isDate && DATE_TIME.test(v))) && isInCalendar(v, moment(v)));
  expectClass(comparison, 'String, NilClass', fits);
  return orderedTest(comparison, moment);
}

/** Whether a moment lies on the day that was written: to JavaScript, 30 February is a day in March. */
const isInCalendar = (written: string, moment: number): boolean =>
  !Number.isNaN(moment) && new Date(moment * 1_000).toISOString().startsWith(written.slice(0, 10));

function timeOf(v: Json): string {
  const text = String(v);
  return text.length > 10 ? text.slice(11, 19) : '00:00:00';
}

function choiceTest(comparison: Comparison, ignoreCase: boolean): Test {
  expectClass(comparison, 'String, NilClass', (v) => v === null || typeof v === 'string');
  const same = (v: Json, w: Json): boolean =>
    v === null || w === null ? v === w : ignoreCase ? fold(v) === fold(w) : v === w;
  return (v) => comparison.values.some((w) => same(v, w === '' ? null : w));
}

function linkTest(comparison: Comparison): (links: readonly EntityLink[]) => boolean {
  const { relation, place, validTypes, values } = comparison;
  if (relation === 'type_is') {
    expectClass(comparison, 'String, NilClass', (v) => typeof v === 'string' || v === null);
    return (links) =>
      values[0] === null ? links.length === 0 : links.some((link) => link.type === values[0]);
  }
  if (relation.startsWith('name_')) {
    expectClass(comparison, 'String', (v) => typeof v === 'string');
    const wanted = fold(values[0] ?? '');
    const matches: Record<string, (name: string) => boolean> = {
      name_is: (name) => name === wanted,
      name_contains: (name) => name.includes(wanted),
      name_starts_with: (name) => name.startsWith(wanted),
      name_ends_with: (name) => name.endsWith(wanted),
    };
    return (links) =>
      links.some((link) => link.name !== null && matches[relation]?.(fold(link.name)) === true);
  }
  for (const value of values) {
    if (value === null || isEntityRef(value)) continue;
    throw badRequest(
      `API ${comparison.method}() ${place} invalid/missing entity hash string 'type': ${JSON.stringify(value)} Valid entity types: ${JSON.stringify(validTypes)}`,
    );
  }
  return (links) =>
    values.some((value) =>
      value === null
        ? links.length === 0
        : isEntityRef(value) && links.some((link) => link.type === value.type && link.id === value.id),
    );
}

/**
 * The test of one leaf on one value, null rule included.
 * @throws SandboxFault for values that the site refuses (protocol §4.2, §4.3).
 */
export function compare(family: FilterFamily, dataType: string, comparison: Comparison): Test {
  const positive = NEGATIVE[comparison.relation];
  if (positive !== undefined) {
    const test = compare(family, dataType, { ...comparison, relation: positive });
    return (value) => !test(value);
  }
  const { relation, values, place } = comparison;
  if (SINGLE_VALUE.has(relation) && values.length !== 1) {
    throw badRequest(
      `API ${comparison.method}() '${relation}' 'relation' expects a 1-element array: ${JSON.stringify(values)}`,
    );
  }
  if (relation === 'in' && values.length === 0) {
    throw badRequest(`API ${comparison.method}() 'in' 'relation' expects at least a 1-element array: []`);
  }
  if (relation === 'between' && values.length !== 2) {
    throw badRequest(
      `API ${comparison.method}() 'between' 'relation' expects a 2-element array: ${JSON.stringify(values)}`,
    );
  }
  switch (family) {
    case 'text':
      return textTest(comparison);
    case 'number':
      return numberTest(comparison);
    case 'date':
      return timeTest(comparison, true);
    case 'date_time':
      return timeTest(comparison, false);
    case 'checkbox':
      expectClass(comparison, 'TrueClass, FalseClass', (v) => typeof v === 'boolean');
      return (v) => v === values[0];
    case 'choice':
      return choiceTest(comparison, dataType === 'list');
    case 'uuid':
      return uuidTest(comparison);
    case 'link':
    case 'links': {
      const test = linkTest(comparison);
      return (v) => test((Array.isArray(v) ? v : v === null ? [] : [v]) as unknown as EntityLink[]);
    }
    case 'image':
      expectClass(comparison, 'NilClass', (v) => v === null);
      return (v) => v === null;
    default:
      throw badRequest(
        `API ${comparison.method}() ${place}'s '${dataType}' data type cannot be used in a filter.`,
      );
  }
}
