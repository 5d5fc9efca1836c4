import type { IncomingHttpHeaders } from 'node:http';
import { API_PATH } from '../pass-through.ts';
import { seenBefore } from '../seen-before.ts';

/**
 * A request of the JSON API as tools send nearly all of them, found at the beginning of what came over a connection. Those that
 * are equal byte for byte are mostly one object.
 */
export interface PlainRequest {
  /** Shared by requests with the same head: not to be changed. */
  readonly headers: IncomingHttpHeaders;
  /** Whether its head is like those of others. */
  readonly isUsual: boolean;
  /** Where its body begins. */
  readonly bodyAt: number;
  /** Where it ends: beyond what came so far, while some is still to come. */
  readonly end: number;
}

/** `unfinished`: more has to come before it can be told; `other`: anything that is not written exactly so. */
export type Found = PlainRequest | 'unfinished' | 'other';

interface PlainHead {
  readonly headers: IncomingHttpHeaders;
  readonly bodyBytes: number;
  /** Whether others are likely to have the same. */
  readonly isUsual: boolean;
}

const START = Buffer.from(`POST ${API_PATH} HTTP/1.1\r\n`);
const HEAD_END = '\r\n\r\n';
const HEAD_BYTES_MAX = 8_192;
const BODY_BYTES_MAX = 1_000_000;
/** Heads that are remembered; of a tool's, only the length differs from request to request. */
const KNOWN_MAX = 1_000;
/** Requests that are remembered. */
const REQUESTS_MAX = 5_000;
/** What has these in its head is not: they differ each time, or are secret. */
const FORGOTTEN = ['x-request-id', 'traceparent', 'cookie', 'authorization'];
/** One header (RFC 9110 §5.5, 5.6.2), in ASCII, on one line, nothing between its name and the colon. */
const LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e]*?)[\t ]*$/;
/** They change how the rest is read, or what the connection is. */
const CHANGING = new Set(['transfer-encoding', 'expect', 'upgrade', 'trailer', 'proxy-connection']);

/**
 * Finds requests of one kind: POST to the JSON API by HTTP/1.1, with a length and over a connection that stays open. It takes
 * nothing that could be read in two ways (RFC 9112 §11.2): whatever is not of that kind, letter by letter, is another's to
 * read, from its first byte on.
 * @param bodyBytesMax longer requests are not taken.
 */
export function createPlainRequests(bodyBytesMax: number): (bytes: Buffer) => Found {
  const known = new Map<string, PlainHead>();

  const headAt = (text: string): PlainHead | null => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const head = headOf(text);
    if (head?.isUsual !== true) return head;
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(text, head);
    return head;
  };

  const find = (bytes: Buffer): Found => {
    const compared = Math.min(bytes.length, START.length);
    if (bytes.compare(START, 0, compared, 0, compared) !== 0) return 'other';
    const headEnd = bytes.indexOf(HEAD_END, 0, 'latin1');
    if (headEnd > HEAD_BYTES_MAX || (headEnd === -1 && bytes.length > HEAD_BYTES_MAX)) return 'other';
    if (headEnd === -1) return 'unfinished';
    const head = headAt(bytes.toString('latin1', START.length, headEnd));
    if (head === null || head.bodyBytes > bodyBytesMax) return 'other';
    const bodyAt = headEnd + HEAD_END.length;
    return { headers: head.headers, isUsual: head.isUsual, bodyAt, end: bodyAt + head.bodyBytes };
  };

  const isKept = (found: Found, bytes: Buffer): boolean =>
    typeof found === 'object' && found.isUsual && found.end === bytes.length;
  return seenBefore(find, isKept, REQUESTS_MAX);
}

/** @param text the lines of its headers. @returns null for a head of another kind. */
function headOf(text: string): PlainHead | null {
  const headers: IncomingHttpHeaders = Object.create(null);
  for (const line of text.split('\r\n')) {
    const [, written = '', value = ''] = LINE.exec(line) ?? [];
    const name = written.toLowerCase();
    // What one header means that appears twice is another's to know.
    if (name === '' || name in headers || CHANGING.has(name)) return null;
    headers[name] = value;
  }
  const { host = '', connection = 'keep-alive', 'content-length': length = '' } = headers;
  if (host === '' || connection.toLowerCase() !== 'keep-alive' || !/^[1-9]\d{0,6}$/.test(length)) return null;
  if (Number(length) > BODY_BYTES_MAX) return null;
  const isUsual = !FORGOTTEN.some((name) => name in headers);
  return { headers: Object.freeze(headers), bodyBytes: Number(length), isUsual };
}
