import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { type EntityLink, isEntityRef, type Json, refKey } from '@understudy/domain/entity';
import { dayOf } from '../filters/relative-time.ts';
import type { SandboxField } from '../sandbox-schema.ts';

/** A group of rows, before its rows are known. */
export interface Group {
  readonly name: string;
  readonly value: Json;
  /** What groups are ordered by; null is the empty group. */
  readonly order: Json;
}

const EMPTY: Group = { name: '', value: null, order: null };
const MINUTES_A_DAY = 480;
const STEPS: Readonly<Record<string, number>> = {
  tens: 10,
  hundreds: 100,
  thousands: 1_000,
  tensofthousands: 10_000,
  hundredsofthousands: 100_000,
  millions: 1_000_000,
};
const NUMBERS: ReadonlySet<string> = new Set(['integer', 'double', 'numeric']);

function displayText(field: SandboxField, value: Json): string {
  if (typeof value === 'boolean') return value ? '☑' : '☐';
  if (field.dataType === 'duration') return `${Number(value) / MINUTES_A_DAY} days`;
  if (field.dataType === 'percent') return `${String(value)}%`;
  return String(value);
}

function exact(field: SandboxField, value: Json): Group {
  if (Array.isArray(value)) {
    if (value.length === 0) return EMPTY;
    const links = value as unknown as EntityLink[];
    const name = links.map((link) => link.name ?? '').join(', ');
    return {
      name,
      value: links.map((link) => ({ type: link.type, id: link.id, name: link.name, valid: 'valid' })),
      order: name,
    };
  }
  if (isEntityRef(value)) {
    const name = (value as unknown as EntityLink).name ?? '';
    return { name, value: { type: value.type, id: value.id, name, valid: 'valid' }, order: name };
  }
  return { name: displayText(field, value), value, order: value };
}

/** The bucket of a date: its first day is what groups are ordered by. */
function dateBucket(type: string, value: string): Group | undefined {
  const day = value.slice(0, 10);
  const date = new Date(`${day}T00:00:00Z`);
  const first = (y: number, m: number, d: number): string => dayOf(y, m, d).toISOString().slice(0, 10);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  switch (type) {
    case 'day':
    case 'oneday':
      return { name: day, value: day, order: day };
    case 'week': {
      const monday = first(year, month, date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
      return { name: monday, value: monday, order: monday };
    }
    case 'month': {
      const start = first(year, month, 1);
      return { name: start.slice(0, 7), value: start, order: start };
    }
    case 'quarter': {
      const quarter = Math.floor(month / 3);
      const start = first(year, quarter * 3, 1);
      return { name: `Q${quarter + 1} ${year}`, value: start, order: start };
    }
    case 'year':
      return { name: String(year), value: first(year, 0, 1), order: first(year, 0, 1) };
    default:
      return undefined;
  }
}

/**
 * Says which group a value belongs to (protocol §5.5). `clustered_date` and `fivedays` are not known well enough.
 * @returns undefined where the grouping type is unknown or not for the field's data type.
 */
export function groupingOf(type: string, field: SandboxField): ((value: Json) => Group) | undefined {
  const { storage } = DATA_TYPES[field.dataType];
  const orEmpty =
    (group: (value: Json) => Group) =>
    (value: Json): Group =>
      value === null ? EMPTY : group(value);
  if (type === 'exact') return storage === 'none' ? undefined : orEmpty((value) => exact(field, value));
  const step = Object.hasOwn(STEPS, type) ? STEPS[type] : undefined;
  if (step !== undefined && NUMBERS.has(storage)) {
    return orEmpty((value) => {
      const from = Math.floor(Number(value) / step) * step;
      return { name: `${from} - ${from + step - 1}`, value: from, order: from };
    });
  }
  if ((storage === 'date' || storage === 'timestamptz') && dateBucket(type, '2026-01-01') !== undefined) {
    return orEmpty((value) => dateBucket(type, String(value)) ?? EMPTY);
  }
  if (type === 'entitytype' && storage === 'link') {
    return orEmpty((value) => {
      const target = (value as { type: string }).type;
      return { name: target, value: target, order: target };
    });
  }
  if (type === 'firstletter' && storage === 'text') {
    return orEmpty((value) => {
      const [letter = ''] = String(value).toUpperCase();
      return { name: letter, value: letter, order: letter };
    });
  }
  return undefined;
}

/** Rows of one group have one key. */
export function groupKey({ value }: Group): string {
  if (Array.isArray(value)) return value.map((link) => (isEntityRef(link) ? refKey(link) : '')).join(' ');
  return isEntityRef(value) ? refKey(value) : JSON.stringify(value);
}
