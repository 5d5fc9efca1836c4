import { DatabaseError } from 'pg-protocol';

/** What a reply is told to, message by message. */
export interface ReplyParts {
  /** The only column of a row: from `start` to before `end` of a chunk, which is nobody's for longer than this call. */
  row(chunk: Buffer, start: number, end: number): void;
  /** The statement failed, or (with nothing under way) the connection is about to end. */
  failed(error: DatabaseError): void;
  /** A statement was parsed under its name. */
  parsed(): void;
  /** The reply is whole. */
  ready(): void;
}

/** Types of messages of PostgreSQL's protocol, version 3. */
const PARSE_COMPLETE = 0x31;
const BIND_COMPLETE = 0x32;
const COMMAND_COMPLETE = 0x43;
const DATA_ROW = 0x44;
const ERROR = 0x45;
const EMPTY_QUERY = 0x49;
const READY = 0x5a;
/** May come at any time, and says nothing of a statement. */
const NOTICE = 0x4e;
const NOTIFICATION = 0x41;
const PARAMETER_STATUS = 0x53;

/** Type and length. */
const HEAD_BYTES = 5;
/** Of a row: how many columns it has, and how long the first one is. */
const COLUMN_AT = 6;

const HELD_BYTES = 4_096;
/** Room beyond this is given back. */
const HELD_BYTES_MAX = 1 << 20;

/** What an ErrorResponse says, by the letters of its fields. */
const ERROR_FIELDS = {
  S: 'severity',
  C: 'code',
  D: 'detail',
  H: 'hint',
  P: 'position',
  W: 'where',
  s: 'schema',
  t: 'table',
  c: 'column',
  n: 'constraint',
  R: 'routine',
} as const;

/** Takes apart what PostgreSQL answers to statements that were bound and run without asking for a description. */
export class ReplyParser {
  readonly #parts: ReplyParts;
  /** The beginning of a message whose end has not come. */
  #held = Buffer.allocUnsafeSlow(HELD_BYTES);
  #heldLength = 0;

  constructor(parts: ReplyParts) {
    this.#parts = parts;
  }

  /** Takes what came, and holds on to none of it. @throws Error for what is no such answer: what follows cannot be understood. */
  take(chunk: Buffer): void {
    let at = this.#heldLength === 0 ? 0 : this.#complete(chunk);
    while (at + HEAD_BYTES <= chunk.length) {
      const end = at + lengthAt(chunk, at);
      if (end > chunk.length) break;
      this.#message(chunk, at, end);
      at = end;
    }
    this.#hold(chunk, at, chunk.length);
  }

  /** Takes the message that is held, once there is all of it. @returns where in the chunk the next one begins. */
  #complete(chunk: Buffer): number {
    const head = this.#hold(chunk, 0, HEAD_BYTES - this.#heldLength);
    if (this.#heldLength < HEAD_BYTES) return head;
    const length = lengthAt(this.#held, 0);
    const at = this.#hold(chunk, head, head + length - this.#heldLength);
    if (this.#heldLength < length) return at;
    this.#heldLength = 0;
    this.#message(this.#held, 0, length);
    if (this.#held.length > HELD_BYTES_MAX) this.#held = Buffer.allocUnsafeSlow(HELD_BYTES);
    return at;
  }

  /** Holds what there is of a stretch of a chunk. @returns where that ends. */
  #hold(chunk: Buffer, start: number, end: number): number {
    const stop = Math.min(end, chunk.length);
    if (stop <= start) return start;
    const wanted = this.#heldLength + stop - start;
    if (wanted > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(2 * wanted);
      this.#held.copy(larger, 0, 0, this.#heldLength);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldLength, start, stop);
    this.#heldLength = wanted;
    return stop;
  }

  #message(chunk: Buffer, at: number, end: number): void {
    const type = chunk[at];
    const body = at + HEAD_BYTES;
    switch (type) {
      case DATA_ROW: {
        const start = body + COLUMN_AT;
        if (chunk.readInt16BE(body) !== 1) throw new Error('a row has more than one column');
        // Null has a length of -1; it is given as empty.
        this.#parts.row(chunk, start, end);
        break;
      }
      case PARSE_COMPLETE:
        this.#parts.parsed();
        break;
      case READY:
        this.#parts.ready();
        break;
      case ERROR:
        this.#parts.failed(errorOf(chunk.subarray(body, end)));
        break;
      case BIND_COMPLETE:
      case COMMAND_COMPLETE:
      case EMPTY_QUERY:
      case NOTICE:
      case NOTIFICATION:
      case PARAMETER_STATUS:
        break;
      default:
        throw new Error(`PostgreSQL answered with a message of type ${type}`);
    }
  }
}

/** Of a message: its type and all that follows. */
const lengthAt = (bytes: Buffer, at: number): number => 1 + bytes.readInt32BE(at + 1);

function errorOf(body: Buffer): DatabaseError {
  const fields = new Map<string, string>();
  for (const field of body.toString('utf8').split('\0')) {
    if (field !== '') fields.set(field.slice(0, 1), field.slice(1));
  }
  const error = new DatabaseError(fields.get('M') ?? 'PostgreSQL failed', body.length, 'error');
  for (const [letter, name] of Object.entries(ERROR_FIELDS)) error[name as 'code'] = fields.get(letter);
  return error;
}
