import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { ClientGone } from '../errors.ts';
import { type ApiClient, type HeaderList, originAt, type WholeAnswer } from './api-client.ts';

/** A client whose request Node's HTTP server took. */
export class NodeClient implements ApiClient {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #gone: AbortController | null = null;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  // Made for those who ask: most answers of the replica do not need it.
  get signal(): AbortSignal {
    this.#gone ??= goneOf(this.#response);
    return this.#gone.signal;
  }

  origin(siteHost: string): string | null {
    const { url, socket, headers } = this.#request;
    // Through a proxy's request the host is the site's.
    if (url?.startsWith('/') !== true) return null;
    return originAt(headers.host, siteHost, 'encrypted' in socket);
  }

  send({ statusCode, headers, body, sent }: WholeAnswer, closes: boolean): void {
    const response = this.#response;
    response.writeHead(statusCode, listed(headers, closes));
    if (typeof body === 'string') response.end(body, 'latin1', sent ?? undefined);
    else response.end(body, sent ?? undefined);
  }

  stream(
    { statusCode, headers, body }: Parameters<ApiClient['stream']>[0],
    closes: boolean,
    ended: () => void,
  ): void {
    this.#response.writeHead(statusCode, listed(headers, closes));
    pipeline(body, this.#response, ended);
  }
}

// Node takes lists of values as well, which its types do not say.
const listed = (headers: HeaderList, closes: boolean): string[] =>
  (closes ? [...headers, 'connection', 'close'] : headers) as string[];

/** Aborts once the client has gone away before its answer was sent. */
function goneOf(response: ServerResponse): AbortController {
  const gone = new AbortController();
  const abort = (): void => gone.abort(new ClientGone());
  if (response.closed || response.destroyed) abort();
  else response.once('close', abort);
  return gone;
}
