import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream';
import type { RequestBudget } from '@understudy/site-client/budget';
import { SiteAnswerLost, SiteUnavailable } from '@understudy/site-client/faults';
import { type Attempt, noteStart } from '@understudy/site-client/request-start';
import { Agent, type Dispatcher, request } from 'undici';
import { type Headers, replyHeaders, requestHeaders } from './headers.ts';
import type { SiteReach } from './site-reach.ts';

/** A request as it is sent on. */
export interface UpstreamRequest {
  readonly method: string;
  /** With the query, from the root of the host: `/api3/json`. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Bytes that may be sent again, or a stream that may not; null for none. */
  readonly body: Buffer | Readable | null;
  readonly requestId: string;
  /** Whether it may change something: then it is sent once (protocol §1.4). */
  readonly isWrite: boolean;
  /** Whether it takes a place of the shared budget: calls of the API do, files do not. */
  readonly isBudgeted: boolean;
  readonly signal?: AbortSignal;
}

/** The site's reply, its body still to be read; read it to the end or destroy it. */
export interface UpstreamReply {
  readonly statusCode: number;
  /** Those of the connection are left out. */
  readonly headers: Record<string, string | string[]>;
  readonly body: Readable;
}

/** Requests of clients sent on to the site. */
export interface Upstream {
  /**
   * Sends a request on and gives the reply, whatever its status.
   * @throws SiteUnavailable when there is no reply; for a write: when nothing of it was sent.
   * @throws SiteAnswerLost for a write that was sent and not answered.
   */
  send(request: UpstreamRequest): Promise<UpstreamReply>;
  close(): Promise<void>;
}

export interface UpstreamOptions {
  /** `https://studio.example.com`; `user:password@` is sent as a header (protocol §1.1). */
  readonly url: string;
  /** How long the site may be silent, before its reply and within it. */
  readonly timeoutMs: number;
  readonly connections: number;
  readonly budget: RequestBudget;
  readonly reach: SiteReach;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** Shorter than what servers commonly allow: whoever sends a write on a connection just closed loses the answer. */
const KEEP_ALIVE_MS = 4_000;
/** A read whose connection broke before the reply is sent once more: the site may just have closed it. */
const READ_ATTEMPTS = 2;

/** What stands in front of a site answers these when the site does not. */
export const AWAY_STATUSES: ReadonlySet<number> = new Set([502, 503, 504]);

function parseSite(url: string): { readonly origin: string; readonly authorization: string | undefined } {
  const { origin, username, password } = new URL(url);
  if (username === '') return { origin, authorization: undefined };
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { origin, authorization: `Basic ${Buffer.from(login).toString('base64')}` };
}

const codeOf = (error: unknown): string =>
  String((error as { readonly code?: unknown }).code ?? (error as Error).name);

/** Whether a connection broke, rather than was too slow or given up. */
const isBroken = (error: unknown): boolean =>
  ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error));

/** Opens kept-alive connections to a site for requests that are passed on. Follows no redirect. */
export function createUpstream(options: UpstreamOptions): Upstream {
  const { origin, authorization } = parseSite(options.url);
  const agent = new Agent({
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
  });
  const dispatcher = agent.compose(noteStart);

  const once = (sent: UpstreamRequest, attempt: Attempt): Promise<Dispatcher.ResponseData<Attempt>> => {
    const headers = requestHeaders(sent.headers, sent.requestId);
    // The length of bytes is known; a stream has the length that its sender said, or comes in chunks.
    if (sent.body === null || Buffer.isBuffer(sent.body)) delete headers['content-length'];
    if (authorization !== undefined) headers['authorization'] ??= authorization;
    return request(`${origin}${sent.path}`, {
      dispatcher,
      method: sent.method as Dispatcher.HttpMethod,
      headers,
      body: sent.body,
      opaque: attempt,
      ...(sent.signal === undefined ? {} : { signal: sent.signal }),
    });
  };

  const attempts = async (sent: UpstreamRequest): Promise<Dispatcher.ResponseData<Attempt>> => {
    const mayRepeat = !sent.isWrite && (sent.body === null || Buffer.isBuffer(sent.body));
    for (let number = 1; ; number += 1) {
      const attempt: Attempt = { started: false };
      try {
        return await once(sent, attempt);
      } catch (error) {
        if (sent.signal?.aborted && !(sent.isWrite && attempt.started)) throw sent.signal.reason;
        if (mayRepeat && isBroken(error) && number < READ_ATTEMPTS) continue;
        options.reach.failed();
        if (sent.isWrite && attempt.started)
          throw new SiteAnswerLost(`the answer to a write was lost: ${codeOf(error)}`, { cause: error });
        throw new SiteUnavailable(`${origin}: ${codeOf(error)}`, { cause: error });
      }
    }
  };

  return {
    send: async (sent) => {
      const place = sent.isBudgeted ? await options.budget.acquire('client', sent.signal) : undefined;
      try {
        const reply = await attempts(sent);
        if (AWAY_STATUSES.has(reply.statusCode)) options.reach.failed();
        else options.reach.answered();
        // The place is held until the last byte came, or the client went away.
        if (place !== undefined) finished(reply.body, () => place.release());
        return {
          statusCode: reply.statusCode,
          headers: replyHeaders(reply.headers as Headers),
          body: reply.body,
        };
      } catch (error) {
        place?.release();
        throw error;
      }
    },
    close: () => agent.destroy(),
  };
}
