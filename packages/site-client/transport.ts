import { Agent, errors, request } from 'undici';
import { SiteAnswerLost, SiteProtocolError, SiteUnavailable } from './faults.ts';

/** Statuses that say "not now": a read may be tried again (protocol §1.4). */
const UNAVAILABLE_STATUSES: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);
/** Errors that come before a byte of the request can have reached the site. */
const BEFORE_SENDING: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export interface Transport {
  /** Sends a body to `/api3/json` once. @returns the parsed reply and the site's clock. */
  send(body: string, options: SendOptions): Promise<{ readonly reply: unknown; readonly siteTime: Date }>;
  close(): Promise<void>;
}

export interface SendOptions {
  /** A write's lost answer is told apart from a site that is away. */
  readonly isWrite: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly requestId?: string | undefined;
}

/** HTTP to one site: keep-alive connections, a time limit for each request, typed errors. Follows no redirect. */
export function createTransport(site: {
  readonly url: string;
  readonly timeoutMs: number;
  readonly connections: number;
  readonly userAgent: string;
}): Transport {
  const agent = new Agent({ connections: site.connections, keepAliveTimeout: 30_000, pipelining: 1 });
  const endpoint = `${site.url}/api3/json`;

  const lost = (isWrite: boolean, why: string, cause?: unknown): Error =>
    isWrite
      ? new SiteAnswerLost(`the answer to a write was lost: ${why}`, { cause })
      : new SiteUnavailable(`${site.url}: ${why}`, { cause });

  return {
    send: async (body, { isWrite, signal, requestId }) => {
      const timeout = AbortSignal.timeout(site.timeoutMs);
      let status: number;
      let text: string;
      let date: unknown;
      try {
        const response = await request(endpoint, {
          dispatcher: agent,
          method: 'POST',
          headers: {
            'content-type': 'application/json; charset=utf-8',
            'user-agent': site.userAgent,
            ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
          },
          body,
          signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        });
        status = response.statusCode;
        date = response.headers['date'];
        text = await response.body.text();
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        const code = (error as { code?: string }).code ?? '';
        const why = timeout.aborted ? `no answer in ${site.timeoutMs} ms` : code || String(error);
        const sent = !BEFORE_SENDING.has(code) && !(error instanceof errors.ConnectTimeoutError);
        throw lost(isWrite && sent, why, error);
      }
      if (UNAVAILABLE_STATUSES.has(status))
        throw lost(isWrite && status !== 429 && status !== 503, `HTTP ${status}`);
      if (status >= 300) throw new SiteProtocolError(`${site.url}: HTTP ${status}`);
      let reply: unknown;
      try {
        reply = JSON.parse(text);
      } catch (cause) {
        throw isWrite
          ? lost(true, 'not JSON', cause)
          : new SiteProtocolError(`${site.url}: not JSON`, { cause });
      }
      const siteTime = typeof date === 'string' ? new Date(date) : new Date(Number.NaN);
      return { reply, siteTime: Number.isNaN(siteTime.getTime()) ? new Date() : siteTime };
    },
    close: () => agent.close(),
  };
}
