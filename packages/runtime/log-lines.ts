import { writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

/** Where lines go in the end: pino's own destination, told to take bytes. */
export interface Sink {
  readonly destroyed?: boolean;
  write(bytes: Buffer): unknown;
  flushSync(): void;
}

export interface LineOptions {
  /** Of the file that the sink writes to. */
  readonly fd: number;
  /** So much is written at once. */
  readonly bytesMax: number;
  /** How long a line waits at most. */
  readonly flushMs: number;
}

/** What one unit of a string takes at most in UTF-8. */
const UNIT_BYTES_MAX = 3;
/** Lines are made bytes together: for each by itself it takes twice as long. More would live long enough to be moved. */
const TEXT_MAX = 4_096;

/**
 * Collects the lines of a log and hands them on together. The destination's own way of doing so measures all that it
 * holds again for each further line, and writes eight times as often for it. They are held as bytes: thousands of strings
 * that wait would be moved again and again by whoever collects garbage, and each would end among what is old.
 */
export function collectLines(sink: Sink, { fd, bytesMax, flushMs }: LineOptions): DestinationStream {
  let bytes = Buffer.allocUnsafeSlow(bytesMax);
  let length = 0;
  /** Lines that are no bytes yet. */
  let text = '';
  const handOn = (): void => {
    if (length === 0) return;
    sink.write(bytes.subarray(0, length));
    // The sink keeps what it was given until it is written.
    bytes = Buffer.allocUnsafeSlow(bytesMax);
    length = 0;
  };
  const encode = (): void => {
    const most = text.length * UNIT_BYTES_MAX;
    if (length + most > bytesMax) handOn();
    if (most > bytesMax) sink.write(Buffer.from(text));
    else length += bytes.write(text, length);
    text = '';
  };
  const flush = (): void => {
    encode();
    handOn();
  };
  setInterval(flush, flushMs).unref();
  // Once the process ends, nothing waits for a write that is under way.
  process.on('exit', () => {
    encode();
    if (sink.destroyed !== true) sink.flushSync();
    if (length > 0) writeSync(fd, bytes, 0, length);
    length = 0;
  });
  return {
    write: (line) => {
      text += line;
      if (text.length >= TEXT_MAX) encode();
    },
  };
}
