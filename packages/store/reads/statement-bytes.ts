import { prepareValue } from 'pg/lib/utils.js';
import { serialize } from 'pg-protocol';

/** A statement whose only column is text. */
export interface TextStatement {
  /** Equal for equal texts: it is prepared under it. Empty: it is parsed and planned each time. */
  readonly name: string;
  readonly text: string;
}

const FIRST_BYTES = 8_192;
/** Room beyond this is given back once what was in it is sent. */
const KEPT_BYTES_MAX = 1 << 18;
/** What one unit of a string takes at most in UTF-8. */
const UNIT_BYTES_MAX = 3;
const INT16 = 2;
const INT32 = 4;
const NULL_LENGTH = -1;
const BIND = 0x42;
/** Of every field that a Bind message has besides name and values: type, length, ends of two texts, three counts. */
const BIND_BYTES = 1 + INT32 + 2 + 3 * INT16;
/** All rows at once, and then a word that the next statement stands by itself. */
const EXECUTE_AND_SYNC = Buffer.concat([serialize.execute({}), serialize.sync()]);

/**
 * What goes out over one connection of PostgreSQL's extended query protocol in one write: a write for each message takes
 * longer than everything else about it.
 */
export class StatementBytes {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /**
   * Has a statement run. Values go as text or null, so that the answer is text as well, and no description of the rows is
   * asked for: the only column is what is wanted.
   * @param parses whether it is to be parsed first, under its name.
   * @throws Error for a value that cannot be sent; nothing is put in then.
   */
  put(statement: TextStatement, parses: boolean, values: readonly unknown[]): void {
    const start = this.#length;
    try {
      if (parses) this.#append(serialize.parse({ name: statement.name, text: statement.text }));
      this.#run(statement.name, values);
    } catch (error) {
      // Half a message would be taken for the beginning of the next.
      this.#length = start;
      throw error;
    }
  }

  #run(name: string, values: readonly unknown[]): void {
    this.#room(BIND_BYTES + name.length * UNIT_BYTES_MAX);
    const start = this.#length;
    this.#bytes[start] = BIND;
    this.#length = start + 1 + INT32;
    this.#zero();
    this.#length += this.#bytes.write(name, this.#length);
    this.#zero();
    this.#int16(0);
    this.#int16(values.length);
    for (const value of values) this.#value(value);
    this.#room(INT16);
    this.#int16(0);
    this.#bytes.writeInt32BE(this.#length - start - 1, start + 1);
    this.#append(EXECUTE_AND_SYNC);
  }

  /** @returns all that was put in since it was last taken. */
  take(): Buffer {
    const taken = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(taken, 0, 0, this.#length);
    this.#length = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    return taken;
  }

  #value(value: unknown): void {
    const prepared = typeof value === 'string' ? value : prepareValue(value);
    if (prepared === null) {
      this.#room(INT32);
      this.#int32(NULL_LENGTH);
    } else if (typeof prepared === 'string') {
      this.#room(INT32 + prepared.length * UNIT_BYTES_MAX + INT16);
      const length = this.#bytes.write(prepared, this.#length + INT32);
      this.#int32(length);
      this.#length += length;
    } else {
      this.#room(INT32);
      this.#int32(prepared.length);
      this.#append(prepared);
    }
  }

  #zero(): void {
    this.#bytes[this.#length] = 0;
    this.#length += 1;
  }

  #int16(value: number): void {
    this.#length = this.#bytes.writeUInt16BE(value, this.#length);
  }

  #int32(value: number): void {
    this.#length = this.#bytes.writeInt32BE(value, this.#length);
  }

  #append(bytes: Buffer): void {
    this.#room(bytes.length);
    bytes.copy(this.#bytes, this.#length);
    this.#length += bytes.length;
  }

  #room(bytes: number): void {
    const wanted = this.#length + bytes;
    if (wanted <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
