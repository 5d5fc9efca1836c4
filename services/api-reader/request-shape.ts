import { hash, randomBytes } from 'node:crypto';
import { LARGEST } from '@understudy/query/read-template';

/** What requests have in common that differ in numbers alone. */
export interface RequestShape {
  /** Equal for requests that are equal byte for byte but for their numbers. A keyed hash: requests hold passwords. */
  readonly key: string;
  /** The numbers, as they come: whole ones from 1 to `LARGEST`, as they are usually written. Others belong to the shape. */
  readonly numbers: readonly number[];
  /** Where each number begins in the request. */
  readonly starts: readonly number[];
}

/** Takes a JSON text apart into its shape and its numbers; null for one that is too long, or that is no JSON. */
export type ShapeOf = (json: Buffer) => RequestShape | null;

/** Longer requests are hardly ever asked again. */
const BODY_BYTES_MAX = 32_768;
const SECRET_BYTES = 32;
const DIGITS_MAX = `${LARGEST}`.length;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPENS = 0x5b;
const BACKSLASH = 0x5c;
const CLOSES = 0x5d;
const ENDS = 0x7d;
/** Stands for a number; JSON has it nowhere. */
const NUMBER = 0x00;

const isWhite = (byte: number): boolean =>
  byte === SPACE || byte === TAB || byte === LINE_FEED || byte === RETURN;
const isDigit = (byte: number): boolean => byte >= ZERO && byte <= NINE;
const mayPrecede = (byte: number): boolean =>
  byte === COLON || byte === COMMA || byte === OPENS || isWhite(byte);
const mayFollow = (byte: number): boolean =>
  byte === COMMA || byte === CLOSES || byte === ENDS || isWhite(byte);

/** The key of the hashes never leaves what is made here. */
export function createShapeOf(): ShapeOf {
  const room = Buffer.allocUnsafeSlow(SECRET_BYTES + BODY_BYTES_MAX);
  randomBytes(SECRET_BYTES).copy(room);
  return (json) => {
    const end = json.length;
    if (end > BODY_BYTES_MAX) return null;
    const numbers: number[] = [];
    const starts: number[] = [];
    let length = SECRET_BYTES;
    let isText = false;
    let before = SPACE;
    for (let at = 0; at < end; at += 1) {
      let byte = json[at] as number;
      if (byte < SPACE && (isText || !isWhite(byte))) return null;
      if (isText) {
        if (byte === QUOTE) isText = false;
        else if (byte === BACKSLASH && at + 1 < end) {
          room[length++] = byte;
          at += 1;
          byte = json[at] as number;
        }
      } else if (byte === QUOTE) isText = true;
      else if (byte > ZERO && byte <= NINE && mayPrecede(before)) {
        const behind = digitsEnd(json, at);
        if (behind < end && mayFollow(json[behind] as number)) {
          numbers.push(numberAt(json, at, behind));
          starts.push(at);
          at = behind - 1;
          byte = NUMBER;
        }
      }
      room[length++] = byte;
      before = byte;
    }
    return { key: hash('sha256', room.subarray(0, length), 'base64'), numbers, starts };
  };
}

/** @returns where digits end, looking at no more than a number may have. */
function digitsEnd(json: Buffer, start: number): number {
  let at = start;
  while (at < json.length && at - start < DIGITS_MAX && isDigit(json[at] as number)) at += 1;
  return at;
}

function numberAt(json: Buffer, start: number, end: number): number {
  let number = 0;
  for (let at = start; at < end; at += 1) number = number * 10 + (json[at] as number) - ZERO;
  return number;
}

/** @returns the request with other numbers, as many as its shape has, in the places of its own. */
export function withNumbers(json: Buffer, { starts }: RequestShape, numbers: readonly number[]): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const [place, start] of starts.entries()) {
    pieces.push(json.subarray(at, start), Buffer.from(`${numbers[place]}`));
    at = digitsEnd(json, start);
  }
  return Buffer.concat([...pieces, json.subarray(at)]);
}
