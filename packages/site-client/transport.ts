import { promisify } from 'node:util';
import { unzip } from 'node:zlib';
import { Agent, type Dispatcher, request } from 'undici';
import { SiteAnswerLost, SiteProtocolError, SiteUnavailable } from './faults.ts';
import { type Attempt, noteStart } from './request-start.ts';

/** Statuses that say "not now": a read may be tried again (protocol §1.4). */
const UNAVAILABLE_STATUSES: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);
const TOO_MANY_REQUESTS = 429;
/** Shorter than what servers and proxies in between commonly allow, so that we close idle connections first. */
const KEEP_ALIVE_MS = 10_000;
const TOO_LONG: ReadonlySet<string> = new Set(['UND_ERR_RES_EXCEEDED_MAX_SIZE', 'ERR_BUFFER_TOO_LARGE']);

export interface Transport {
  /**
   * Sends a body to `/api3/json` once (protocol §1.1).
   * @returns the parsed reply and the site's clock.
   * @throws SiteUnavailable, SiteAnswerLost (writes only), SiteProtocolError, or the signal's reason.
   */
  send(body: string, options: SendOptions): Promise<{ readonly reply: unknown; readonly siteTime: Date }>;
  close(): Promise<void>;
}

export interface SendOptions {
  /** A write's lost answer is told apart from a site that is away. */
  readonly isWrite: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly requestId?: string | undefined;
}

export interface TransportOptions {
  readonly url: string;
  readonly timeoutMs: number;
  readonly connections: number;
  readonly userAgent: string;
  readonly responseBytesMax: number;
}

/** Where requests go: the base joined as the official client does, its credentials as a header (protocol §1.1). */
function parseUrl(url: string): { readonly endpoint: string; readonly authorization: string | undefined } {
  const endpoint = new URL('api3/json', url);
  if (endpoint.protocol !== 'http:' && endpoint.protocol !== 'https:')
    throw new TypeError('the url of a site begins with http:// or https://');
  const { username, password } = endpoint;
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  endpoint.username = '';
  endpoint.password = '';
  return {
    endpoint: endpoint.href,
    authorization: username === '' ? undefined : `Basic ${Buffer.from(login).toString('base64')}`,
  };
}

const unzipped = promisify(unzip);

/** @throws when the bytes are not UTF-8, not JSON, not what the encoding says, or longer than allowed once unpacked. */
async function parseBody(bytes: Uint8Array, encoding: unknown, bytesMax: number): Promise<unknown> {
  const isPlain = encoding === undefined || encoding === 'identity';
  const plain = isPlain ? bytes : await unzipped(bytes, { maxOutputLength: bytesMax });
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plain));
}

/** @returns the HTTP Date, or this machine's clock where a proxy took it away. */
function siteTimeOf(date: unknown): Date {
  const siteTime = new Date(typeof date === 'string' ? date : Number.NaN);
  return Number.isNaN(siteTime.getTime()) ? new Date() : siteTime;
}

/** HTTP to one site: keep-alive connections, limits of time and size, typed errors. Follows no redirect. */
export function createTransport(site: TransportOptions): Transport {
  const { endpoint, authorization } = parseUrl(site.url);
  // The request's own time limit covers headers and body, so undici's are off; the official client speaks HTTP/1.1.
  const agent = new Agent({
    connections: site.connections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: site.responseBytesMax,
  });
  const dispatcher = agent.compose(noteStart);

  const lost = (isWrite: boolean, why: string, cause?: unknown): Error =>
    isWrite
      ? new SiteAnswerLost(`the answer to a write was lost: ${why}`, { cause })
      : new SiteUnavailable(`${endpoint}: ${why}`, { cause });
  const misunderstood = (isWrite: boolean, why: string, cause?: unknown): Error =>
    isWrite ? lost(true, why, cause) : new SiteProtocolError(`${endpoint}: ${why}`, { cause });

  return {
    send: async (body, { isWrite, signal, requestId }) => {
      const timeout = AbortSignal.timeout(site.timeoutMs);
      const attempt: Attempt = { started: false };
      let response: Dispatcher.ResponseData<Attempt>;
      let bytes: Uint8Array;
      try {
        response = await request(endpoint, {
          dispatcher,
          method: 'POST',
          headers: {
            'content-type': 'application/json; charset=utf-8',
            'accept-encoding': 'gzip, deflate',
            'user-agent': site.userAgent,
            ...(authorization === undefined ? {} : { authorization }),
            ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
          },
          body,
          opaque: attempt,
          signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        });
        bytes = new Uint8Array(await response.body.arrayBuffer());
      } catch (error) {
        const isMaybeDone = isWrite && attempt.started;
        if (signal?.aborted && !isMaybeDone) throw signal.reason;
        const code = (error as { readonly code?: unknown }).code;
        if (typeof code === 'string' && TOO_LONG.has(code))
          throw misunderstood(isWrite, `more than ${site.responseBytesMax} bytes`, error);
        const why = signal?.aborted
          ? 'given up by the caller'
          : timeout.aborted
            ? `no answer in ${site.timeoutMs} ms`
            : String(code ?? error);
        throw lost(isMaybeDone, why, error);
      }
      const status = response.statusCode;
      // Only "too many requests" surely means that a write was not done: a proxy may answer any 5xx after it was.
      if (UNAVAILABLE_STATUSES.has(status))
        throw lost(isWrite && status !== TOO_MANY_REQUESTS, `HTTP ${status}`);
      if (status >= 300) throw new SiteProtocolError(`${endpoint}: HTTP ${status}`);
      try {
        const reply = await parseBody(bytes, response.headers['content-encoding'], site.responseBytesMax);
        return { reply, siteTime: siteTimeOf(response.headers['date']) };
      } catch (error) {
        const code = (error as { readonly code?: unknown }).code;
        const isTooLong = typeof code === 'string' && TOO_LONG.has(code);
        const why = isTooLong ? `more than ${site.responseBytesMax} bytes` : 'the answer is not JSON';
        throw misunderstood(isWrite, why, error);
      }
    },
    close: () => agent.close(),
  };
}
