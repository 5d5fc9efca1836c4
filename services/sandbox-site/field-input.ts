import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { SandboxField } from './sandbox-schema.ts';
import type { SiteData } from './site-data.ts';
import { badData } from './site-fault.ts';

/** Signed 32 bit (protocol §3.5). */
const WHOLE_MIN = -(2 ** 31);
const WHOLE_MAX = 2 ** 31 - 1;
const CURRENCY_MAX = 9_999_999_999_999.99;

/** Names that old tools give to colors (protocol §3.5); which shade the site makes of each is not known. */
const COLORS: ReadonlyMap<string, string> = new Map([
  ['Red', '255,0,0'],
  ['Blue', '0,0,255'],
  ['Orange', '255,165,0'],
  ['Pink', '255,192,203'],
  ['Green', '0,128,0'],
  ['Purple', '128,0,128'],
  ['Grey', '128,128,128'],
  ['Black', '0,0,0'],
]);

/** Text as the site keeps and gives it: clients put the `<` back (protocol §1.5). */
const sanitized = (text: string): string => text.replaceAll('<', '&lt;');

/** A day of the calendar, which has no year 0. */
function isDay(text: string): boolean {
  const isWritten = /^\d{4}-\d{2}-\d{2}$/.test(text) && !text.startsWith('0000');
  const date = new Date(isWritten ? `${text}T00:00:00Z` : Number.NaN);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

/**
 * Takes a value that a caller writes and gives it as the site keeps it (protocol §3.5): text trimmed, times in UTC,
 * links cut down to type and id.
 * @throws SandboxFault 104 for what the site refuses.
 */
export function acceptValue(data: SiteData, type: string, field: SandboxField, value: Json): Json {
  const place = `${type}.${field.name}`;
  const refuse = (why: string): never => {
    throw badData(`API update() CRUD ERROR #5: Update failed for [${place}]: ${why}`);
  };
  const link = (item: Json): Json => {
    if (!isEntityRef(item) || data.find(item) === undefined) return refuse('Value is not legal.');
    if (field.validTypes.length > 0 && !field.validTypes.includes(item.type)) {
      return refuse(`${field.validTypes.join(', ')} expected, got ${item.type}`);
    }
    return { type: item.type, id: item.id };
  };
  switch (field.dataType) {
    case 'multi_entity':
    case 'addressing': {
      if (!Array.isArray(value)) return refuse('Value is not legal.');
      const seen = new Map(value.map(link).map((item) => [JSON.stringify(item), item]));
      return [...seen.values()];
    }
    case 'checkbox':
      if (value === true || value === 'true') return true;
      if (value === false || value === 'false') return false;
      return refuse('Value is not legal.');
    default:
      if (value === null) return null;
  }
  switch (field.dataType) {
    case 'entity':
      return link(value);
    case 'number':
    case 'percent':
    case 'duration':
    case 'timecode': {
      const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
      if (typeof number !== 'number') return refuse('Value is not legal.');
      const whole = field.dataType === 'duration' ? Math.trunc(number) : number;
      if (!Number.isInteger(whole) || whole < WHOLE_MIN || whole > WHOLE_MAX)
        return refuse('Value is not legal.');
      return whole;
    }
    case 'float':
      return typeof value === 'number' ? value : refuse('Value is not legal.');
    case 'currency':
      return typeof value === 'number' && Math.abs(value) <= CURRENCY_MAX
        ? value
        : refuse('Value is not legal.');
    case 'color': {
      if (typeof value !== 'string') return refuse('Value is not legal.');
      const text = value.trim();
      return text === '' ? null : (COLORS.get(text) ?? text);
    }
    case 'date':
      if (value === '') return null;
      return typeof value === 'string' && isDay(value) ? value : refuse('Value is not legal.');
    case 'date_time': {
      if (typeof value !== 'string') return refuse('Value is not legal.');
      const zoned = new Date(/Z|[+-]\d{2}:?\d{2}$/.test(value) ? value : `${value}Z`);
      const time = Number.isNaN(zoned.getTime()) ? '' : zoned.toISOString();
      // Years of the calendar have four digits.
      return time.length === 24 ? `${time.slice(0, 19)}Z` : refuse('Value is not legal.');
    }
    case 'list':
    case 'status_list':
      if (typeof value !== 'string') return refuse('Value is not legal.');
      if (field.validValues.length > 0 && !field.validValues.includes(value))
        return refuse('Value is not legal.');
      return value;
    case 'image':
      return refuse('Value is not legal.');
    case 'serializable':
    case 'jsonb':
    case 'url':
    case 'tag_list':
      return value;
    default: {
      if (typeof value !== 'string') return refuse('Value is not legal.');
      const text = value.trim();
      if (text === '') return null;
      return field.dataType === 'text' ? sanitized(text) : text;
    }
  }
}
