/** From here on room is not kept for the next reply: few are larger. */
const KEPT_BYTES_MAX = 1 << 20;
const FIRST_BYTES = 8_192;
const COMMA = 0x2c;

/**
 * The rows of one reply: the bytes of their only column one after the other, a comma after each. They are never made text
 * on their way from PostgreSQL to a client, which takes longer than all else that is done to a large reply. What is here
 * is overwritten by the next reply: it is good until whoever it is given to returns.
 */
export class RowBytes {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;
  readonly #ends: number[] = [];

  /** How many rows there are. */
  get count(): number {
    return this.#ends.length;
  }

  /** Adds what is from `start` to before `end` of a chunk. */
  add(chunk: Buffer, start: number, end: number): void {
    const wanted = this.#length + end - start + 1;
    if (wanted > this.#bytes.length) this.#grow(wanted);
    chunk.copy(this.#bytes, this.#length, start, end);
    this.#bytes[wanted - 1] = COMMA;
    this.#length = wanted;
    this.#ends.push(wanted - 1);
  }

  clear(): void {
    this.#length = 0;
    this.#ends.length = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  }

  /** @returns the text of each row. */
  texts(): string[] {
    let start = 0;
    return this.#ends.map((end) => {
      const text = this.#bytes.toString('utf8', start, end);
      start = end + 1;
      return text;
    });
  }

  /** @returns a buffer of its own with the first `count` rows, commas between them, between two texts of ASCII. */
  between(before: string, after: string, count: number): Buffer {
    const length = count === 0 ? 0 : (this.#ends[Math.min(count, this.#ends.length) - 1] ?? 0);
    const made = Buffer.allocUnsafe(before.length + length + after.length);
    made.write(before, 0, 'latin1');
    this.#bytes.copy(made, before.length, 0, length);
    made.write(after, before.length + length, 'latin1');
    return made;
  }

  #grow(wanted: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
