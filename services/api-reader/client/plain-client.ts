import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ClientGone } from '../errors.ts';
import { type ApiClient, type HeaderList, originAt, type WholeAnswer } from './api-client.ts';

const SECOND_MS = 1_000;
/** Statuses whose answers have no body (RFC 9112 §6.3). */
const BODILESS = new Set([204, 304]);
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what no header may hold.
const NO_HEADER_VALUE = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/;

/** A client whose request was taken off its connection here. */
export class PlainClient implements ApiClient {
  readonly headers: IncomingHttpHeaders;
  readonly #socket: Socket;
  readonly #answered: (closes: boolean) => void;
  readonly #answers: PlainAnswers;
  #gone: AbortController | null = null;
  #isGone = false;

  /** @param answered called once the answer is on its way and the next request may be taken. */
  constructor(
    headers: IncomingHttpHeaders,
    socket: Socket,
    answers: PlainAnswers,
    answered: (closes: boolean) => void,
  ) {
    this.headers = headers;
    this.#socket = socket;
    this.#answers = answers;
    this.#answered = answered;
  }

  get signal(): AbortSignal {
    if (this.#gone === null) {
      this.#gone = new AbortController();
      if (this.#isGone) this.goneAway();
    }
    return this.#gone.signal;
  }

  /** To be told when its connection ends before it was answered. */
  goneAway(): void {
    this.#isGone = true;
    this.#gone?.abort(new ClientGone());
  }

  origin(siteHost: string): string | null {
    return originAt(this.headers.host, siteHost, 'encrypted' in this.#socket);
  }

  send({ statusCode, headers, body, sent }: WholeAnswer, closes: boolean): void {
    const socket = this.#socket;
    const head = this.#answers.head(statusCode, headers, '', closes);
    if (typeof body === 'string')
      socket.write(head + body, 'latin1', sent === null ? undefined : () => sent());
    else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body, () => sent?.());
      socket.uncork();
    }
    this.#answered(closes);
  }

  stream(
    { statusCode, headers, body }: Parameters<ApiClient['stream']>[0],
    closes: boolean,
    ended: () => void,
  ): void {
    const isCounted = headers.some((name, at) => at % 2 === 0 && name === 'content-length');
    const isChunked = !isCounted && !BODILESS.has(statusCode);
    const framing = isChunked ? 'transfer-encoding: chunked\r\n' : '';
    this.#socket.write(this.#answers.head(statusCode, headers, framing, closes), 'latin1');
    const stages = isChunked ? [body, new Chunks()] : [body];
    pipeline([...stages, this.#socket], { end: false })
      .then(
        () => this.#answered(closes),
        () => this.#socket.destroy(),
      )
      .finally(ended);
  }
}

/**
 * @returns the lines of the header whose name is at a place of a list; nothing behind its end.
 * @throws Error for a value that would end the header, and begin what it likes.
 */
function linesAt(headers: HeaderList, at: number): string {
  const name = headers[at];
  const value = headers[at + 1];
  if (name === undefined || value === undefined) return '';
  if (typeof value === 'string') return headerLine(String(name), value);
  return value.map((one) => headerLine(String(name), one)).join('');
}

function headerLine(name: string, value: string): string {
  if (NO_HEADER_VALUE.test(value)) throw new Error(`header ${name} has a value that cannot be sent`);
  return `${name}: ${value}\r\n`;
}

/** What all answers over plain connections share. */
export interface PlainAnswers {
  /** @returns the beginning of an answer. @param framing a header line more, or nothing. @throws Error as `linesAt` does. */
  head(statusCode: number, headers: HeaderList, framing: string, closes: boolean): string;
}

/** Two answers for which these are the same differ in their first header at most. */
interface HeadParts {
  readonly statusCode: number;
  readonly headers: HeaderList;
  readonly framing: string;
  readonly closes: boolean;
  readonly date: string;
}

interface Head extends HeadParts {
  /** What comes before the first header, and after it. */
  readonly start: string;
  readonly rest: string;
}

/**
 * Answers that follow one another mostly have the same headers but for the first, which is the id of the request: what is the
 * same is made text once.
 * @param keepAliveSeconds how long a connection is kept while nothing comes.
 */
export function createPlainAnswers(keepAliveSeconds: number): PlainAnswers {
  const dateNow = createDate();
  let last: Head | null = null;

  const made = (parts: HeadParts): Head => {
    const { statusCode, headers, framing, closes, date } = parts;
    let rest = '';
    for (let at = 2; at < headers.length; at += 2) rest += linesAt(headers, at);
    // The site's answers have their date.
    if (!headers.some((name, at) => at % 2 === 0 && name === 'date')) rest += `date: ${date}\r\n`;
    const connection = closes ? 'close' : `keep-alive\r\nkeep-alive: timeout=${keepAliveSeconds}`;
    rest += `${framing}connection: ${connection}\r\n\r\n`;
    return { ...parts, start: `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ''}\r\n`, rest };
  };

  return {
    head: (statusCode, headers, framing, closes) => {
      const date = dateNow();
      if (
        last === null ||
        last.statusCode !== statusCode ||
        last.date !== date ||
        last.closes !== closes ||
        last.framing !== framing ||
        !areAlike(last.headers, headers)
      )
        last = made({ statusCode, headers, framing, closes, date });
      return last.start + linesAt(headers, 0) + last.rest;
    },
  };
}

/** @returns whether two lists have the same headers but for the value of the first. */
function areAlike(some: HeaderList, others: HeaderList): boolean {
  if (some.length !== others.length || some[0] !== others[0]) return false;
  for (let at = 2; at < some.length; at += 1) if (some[at] !== others[at]) return false;
  return true;
}

/** Gives the present second, as headers have it. */
function createDate(): () => string {
  let date = '';
  let until = 0;
  return () => {
    const now = Date.now();
    if (now >= until || now < until - SECOND_MS) {
      date = new Date(now).toUTCString();
      until = now - (now % SECOND_MS) + SECOND_MS;
    }
    return date;
  };
}

/** The transfer coding of bodies whose length is not known when they begin (RFC 9112 §7.1). */
class Chunks extends Transform {
  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    // One without bytes would be the last.
    if (chunk.length > 0) {
      this.push(`${chunk.length.toString(16)}\r\n`, 'latin1');
      this.push(chunk);
      this.push('\r\n', 'latin1');
    }
    done();
  }

  override _flush(done: TransformCallback): void {
    this.push('0\r\n\r\n', 'latin1');
    done();
  }
}
