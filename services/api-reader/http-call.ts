import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApiCall } from './api-call.ts';
import type { Identity } from './identity.ts';

/** What a Host header may hold to be repeated in a link. */
const HOST = /^[a-z0-9.-]+(:\d{1,5})?$|^\[[0-9a-f:]+\](:\d{1,5})?$/i;

function originOf(request: IncomingMessage, siteHost: string): string | null {
  const { url, socket, headers } = request;
  const { host } = headers;
  // Through a proxy's request or tunnel the host is the site's, which knows nothing of our links.
  if (host === undefined || host === siteHost || !HOST.test(host) || url?.startsWith('/') !== true)
    return null;
  return `${'encrypted' in socket ? 'https' : 'http'}://${host}`;
}

/** Aborts once the client has gone away before its answer was sent. */
function goneOf(response: ServerResponse): AbortController {
  const gone = new AbortController();
  const abort = (): void => gone.abort(new Error('the client went away'));
  if (response.closed || response.destroyed) abort();
  else response.once('close', abort);
  return gone;
}

/** Where a call came from. */
export interface CallOrigin {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly siteHost: string;
}

/** A call as it came over HTTP. */
export class HttpCall implements ApiCall {
  readonly envelope: ApiCall['envelope'];
  readonly identity: Identity;
  readonly body: Buffer;
  readonly requestId: string;
  readonly headers: IncomingMessage['headers'];
  readonly #from: CallOrigin;
  #gone: AbortController | null = null;

  constructor(
    envelope: ApiCall['envelope'],
    identity: Identity,
    body: Buffer,
    requestId: string,
    from: CallOrigin,
  ) {
    this.envelope = envelope;
    this.identity = identity;
    this.body = body;
    this.requestId = requestId;
    this.headers = from.request.headers;
    this.#from = from;
  }

  // Made for those who ask: most answers of the replica need neither.
  get origin(): string | null {
    return originOf(this.#from.request, this.#from.siteHost);
  }

  get signal(): AbortSignal {
    this.#gone ??= goneOf(this.#from.response);
    return this.#gone.signal;
  }
}
