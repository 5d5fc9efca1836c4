import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

/** Header names and values, one after the other; of a header that appears several times all values. */
export type HeaderList = readonly (string | readonly string[])[];

/** An answer that is sent as a whole. */
export interface WholeAnswer {
  readonly statusCode: number;
  readonly headers: HeaderList;
  /** A text goes out in one piece with the headers, byte for byte: one character, one byte. */
  readonly body: string | Buffer;
  /** Called once the bytes of the body are needed no more. */
  readonly sent: (() => void) | null;
}

/** Who sent a request of the JSON API, and gets its answer; one for each request. */
export interface ApiClient {
  /** Of the request, names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** Aborted when the client goes away before it has its answer. */
  readonly signal: AbortSignal;
  /** @returns `http://host:port` as it reaches this reader; null where it asked for the site, at `siteHost`, through a proxy. */
  origin(siteHost: string): string | null;
  /** @param closes whether the connection ends with it. */
  send(answer: WholeAnswer, closes: boolean): void;
  /**
   * Sends a body as it comes. Where that breaks off in the middle, so does the connection: half an answer must not be taken
   * for a whole one.
   * @param ended called once it was sent, or never will be.
   */
  stream(
    answer: Omit<WholeAnswer, 'body' | 'sent'> & { readonly body: Readable },
    closes: boolean,
    ended: () => void,
  ): void;
}

/** What a Host header may hold to be repeated in a link. */
const HOST = /^[a-z0-9.-]+(:\d{1,5})?$|^\[[0-9a-f:]+\](:\d{1,5})?$/i;

/** @returns null where the host is the site's, which knows nothing of our links, or none that can be repeated. */
export function originAt(host: string | undefined, siteHost: string, isEncrypted: boolean): string | null {
  if (host === undefined || host === siteHost || !HOST.test(host)) return null;
  return `${isEncrypted ? 'https' : 'http'}://${host}`;
}
