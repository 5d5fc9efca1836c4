import type { Json } from '@understudy/domain/entity';

/** How values of a type are sent in PostgreSQL's binary form. */
interface Encoding {
  readonly oid: number;
  /** Bytes of a value, at most. */
  readonly room: (value: Json) => number;
  /** Writes a value. @returns where it ends, or NONE where this form has no such value. */
  readonly write: (value: Json, into: Buffer, at: number) => number;
}

const NONE = -1;
const NULL_LENGTH = -1;
/** Number of dimensions, whether there are nulls, the type; then the length and the lower bound of the one dimension. */
const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const UINT32 = 4_294_967_296;
/** Longer texts are measured, so that much room is not asked for in vain. */
const SHORT_TEXT = 64;
const UTF8_MAX = 3;
const JSONB_VERSION = 1;
const DAY_MS = 86_400_000;
/** PostgreSQL counts from the year 2000. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const MICROS_PER_MS = 1_000;
/** Every month has as many. */
const DAYS_CERTAIN = 28;

function writeInt64(value: number, into: Buffer, at: number): number {
  const high = Math.floor(value / UINT32);
  into.writeInt32BE(high, at);
  return into.writeUInt32BE(value - high * UINT32, at + LENGTH_BYTES);
}

const roomOf = (text: string): number =>
  text.length > SHORT_TEXT ? Buffer.byteLength(text) : text.length * UTF8_MAX;
const textOf = (value: Json): string => (typeof value === 'string' ? value : String(value));
const jsonOf = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** `YYYY-MM-DD`, with whatever follows, as milliseconds; NaN for what is no day, which PostgreSQL is to refuse. */
function millis(value: Json): number {
  if (typeof value !== 'string' || value.startsWith('0000')) return Number.NaN;
  const ms = Date.parse(value);
  // A day that its month lacks would become one of the next month.
  if (Number(value.slice(8, 10)) > DAYS_CERTAIN && !Number.isNaN(ms)) {
    const day = new Date(ms).toISOString().slice(0, 10);
    return day === value.slice(0, 10) ? ms : Number.NaN;
  }
  return ms;
}

/** Page and place in it. */
const TID = /^\((\d+),(\d+)\)$/;

const ENCODINGS: Readonly<Record<string, Encoding>> = {
  boolean: {
    oid: 16,
    room: () => 1,
    write: (value, into, at) => (typeof value === 'boolean' ? into.writeUInt8(value ? 1 : 0, at) : NONE),
  },
  bigint: {
    oid: 20,
    room: () => 8,
    write: (value, into, at) => (Number.isSafeInteger(value) ? writeInt64(value as number, into, at) : NONE),
  },
  tid: {
    oid: 27,
    room: () => 6,
    write: (value, into, at) => {
      const place = typeof value === 'string' ? TID.exec(value) : null;
      if (place === null) return NONE;
      return into.writeUInt16BE(Number(place[2]), into.writeUInt32BE(Number(place[1]), at));
    },
  },
  text: {
    oid: 25,
    room: (value) => roomOf(textOf(value)),
    write: (value, into, at) => at + into.write(textOf(value), at),
  },
  json: {
    oid: 114,
    room: (value) => roomOf(jsonOf(value)),
    write: (value, into, at) => at + into.write(jsonOf(value), at),
  },
  jsonb: {
    oid: 3802,
    room: (value) => roomOf(jsonOf(value)) + 1,
    write: (value, into, at) => into.writeUInt8(JSONB_VERSION, at) + into.write(jsonOf(value), at + 1),
  },
  'double precision': {
    oid: 701,
    room: () => 8,
    write: (value, into, at) => (typeof value === 'number' ? into.writeDoubleBE(value, at) : NONE),
  },
  date: {
    oid: 1082,
    room: () => 4,
    write: (value, into, at) => {
      const ms = millis(value);
      return Number.isNaN(ms) ? NONE : into.writeInt32BE((ms - EPOCH_MS) / DAY_MS, at);
    },
  },
  timestamptz: {
    oid: 1184,
    room: () => 8,
    write: (value, into, at) => {
      const ms = millis(value);
      return Number.isNaN(ms) ? NONE : writeInt64((ms - EPOCH_MS) * MICROS_PER_MS, into, at);
    },
  },
};

/**
 * A parameter that is an array of a column's values: in PostgreSQL's binary form, which is cheaper to make and much
 * cheaper to read than text, or else as text, so that PostgreSQL itself refuses what is no value of the type. The
 * statement must say the type of the parameter.
 */
export function arrayParameter(values: readonly Json[], sqlType: string): Buffer | string {
  const encoding = ENCODINGS[sqlType];
  if (encoding === undefined) return arrayLiteral(values, sqlType);
  // JSON is made once.
  const given =
    sqlType === 'jsonb' ? values.map((value) => (value === null ? null : JSON.stringify(value))) : values;
  let room = HEADER_BYTES;
  let nulls = 0;
  for (const value of given) {
    room += LENGTH_BYTES;
    if (value === null || value === undefined) nulls += 1;
    else room += encoding.room(value);
  }
  const buffer = Buffer.allocUnsafe(room);
  let at = buffer.writeInt32BE(1, 0);
  at = buffer.writeInt32BE(nulls > 0 ? 1 : 0, at);
  at = buffer.writeInt32BE(encoding.oid, at);
  at = buffer.writeInt32BE(values.length, at);
  at = buffer.writeInt32BE(1, at);
  for (const value of given) {
    if (value === null || value === undefined) {
      at = buffer.writeInt32BE(NULL_LENGTH, at);
      continue;
    }
    const end = encoding.write(value, buffer, at + LENGTH_BYTES);
    if (end === NONE) return arrayLiteral(values, sqlType);
    buffer.writeInt32BE(end - at - LENGTH_BYTES, at);
    at = end;
  }
  return buffer.subarray(0, at);
}

/** A parameter that is one value of a column. */
export function valueParameter(value: Json, sqlType: string): string | number | boolean | null {
  if (value === null || sqlType === 'jsonb') return value === null ? null : JSON.stringify(value);
  return typeof value === 'object' ? JSON.stringify(value) : value;
}

const NEEDS_ESCAPE = /["\\]/;

/** PostgreSQL's text form of an array. */
function arrayLiteral(values: readonly Json[], sqlType: string): string {
  const texts = values.map((value) => {
    if (value === null || value === undefined) return 'NULL';
    if (sqlType === 'jsonb') return quoted(JSON.stringify(value));
    return typeof value === 'string' ? quoted(value) : String(value);
  });
  return `{${texts.join(',')}}`;
}

function quoted(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : `"${text}"`;
}
