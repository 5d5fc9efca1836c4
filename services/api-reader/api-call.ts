import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Envelope } from './envelope.ts';
import type { Identity } from './identity.ts';

/** One call of the JSON API, as the parts that answer it see it. */
export interface ApiCall {
  readonly envelope: Envelope;
  readonly identity: Identity;
  /** The request as it came, to be sent on byte for byte. */
  readonly body: Buffer;
  readonly headers: IncomingHttpHeaders;
  readonly requestId: string;
  /** `http://host:port` as the client reaches this reader; null where it came through a proxy's request. */
  readonly origin: string | null;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

/** Smaller ones share memory with others. */
const LARGE_BYTES = 16_384;

/**
 * Bytes that were made for one answer and that nobody else holds. Once they are sent their memory is given back: left to
 * be found, large answers have the collector of garbage go through everything ten times a second.
 */
export class OwnBytes {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** From then on there are none. */
  giveBack(): void {
    const { buffer, length } = this.bytes;
    if (length >= LARGE_BYTES && buffer instanceof ArrayBuffer && buffer.byteLength === length)
      buffer.transfer(0);
  }
}

/** Bodies up to this are sent together with the headers, as a text; more is not copied for it. */
export const ONE_PIECE_BYTES = 16_384;

/** Bytes that many are given. */
export class SharedBytes {
  readonly bytes: Buffer;
  #latin1: string | null = null;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** One character for each byte, whatever they stand for. */
  get latin1(): string {
    this.#latin1 ??= this.bytes.toString('latin1');
    return this.#latin1;
  }

  /** Bytes of memory, once it has been sent. */
  get size(): number {
    const { length } = this.bytes;
    return length <= ONE_PIECE_BYTES ? 2 * length : length;
  }
}

/** Text that is held as a whole. */
export type WholeBody = string | SharedBytes | OwnBytes;

/** What a client gets. */
export interface Answer {
  readonly source: 'replica' | 'site';
  /** Why the site answered, in a few words; null for answers of the replica that need no reason. */
  readonly reason: string | null;
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: WholeBody | Readable;
}

/** The headers of JSON that the reader makes itself (protocol §1.3). */
export const JSON_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'application/json; charset=utf-8',
};

/** An answer made of JSON text. */
export function jsonAnswer(source: Answer['source'], reason: string | null, text: WholeBody): Answer {
  return { source, reason, statusCode: 200, headers: JSON_HEADERS, body: text };
}
