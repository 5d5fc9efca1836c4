import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApiClient } from './client/api-client.ts';
import { NodeClient } from './client/node-client.ts';
import { badEnvelope, bodyTooLarge } from './errors.ts';
import { Exchange, type ExchangeParts } from './exchange.ts';
import { API_PATH } from './pass-through.ts';
import { localPath, NEXT, type Sites } from './sites.ts';
import type { BodyWatch } from './slow-bodies.ts';

export interface ApiParts extends ExchangeParts {
  readonly sites: Sites;
  readonly bodyLimitBytes: number;
  readonly bodies: BodyWatch;
}

/** The JSON API's endpoint (protocol §1.1). */
export interface ApiEndpoint {
  /** Takes a request of Node's server, or says false of one that is not for it. */
  takes(request: IncomingMessage, response: ServerResponse): boolean;
  /**
   * Takes a call for the replicated site whose request has come as a whole.
   * @param same stands for all requests that are equal byte for byte; null: it is not known whether there are others.
   */
  take(client: ApiClient, body: Buffer, same: object | null): void;
}

/**
 * In front of the reader's other routes: has calls answered, and sends the answers as they are. It is what nearly every
 * request asks for, so it is a handler of Node's own server: a framework's route around it takes a third of the time of a
 * read.
 */
export function apiEndpoint(parts: ApiParts): ApiEndpoint {
  const { bodyLimitBytes, bodies } = parts;

  const takes: ApiEndpoint['takes'] = (request, response) => {
    if (request.method !== 'POST') return false;
    const { url = '' } = request;
    let elsewhere: string | null = null;
    if (url !== API_PATH) {
      const path = localPath(parts.sites, url).split('?', 1)[0] ?? '';
      if (path.startsWith(NEXT) && path.endsWith(API_PATH))
        elsewhere = path.slice(NEXT.length, -API_PATH.length);
      else if (path !== API_PATH) return false;
    }
    const exchange = new Exchange(parts, new NodeClient(request, response), elsewhere);
    if (Number(request.headers['content-length']) > bodyLimitBytes) {
      exchange.refuse(bodyTooLarge(bodyLimitBytes));
      return true;
    }
    bodies.begins(request);
    let first: Buffer | null = null;
    let more: Buffer[] | null = null;
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > bodyLimitBytes) {
        bodies.ends(request);
        request.removeAllListeners('data').removeAllListeners('end');
        exchange.refuse(bodyTooLarge(bodyLimitBytes));
      } else if (first === null) first = chunk;
      else if (more === null) more = [first, chunk];
      else more.push(chunk);
    });
    request.on('end', () => {
      bodies.ends(request);
      if (first === null) exchange.refuse(badEnvelope('there is no body'));
      else exchange.answer(more === null ? first : Buffer.concat(more, length), null);
    });
    // A client that breaks off its request gets no answer.
    request.on('error', () => bodies.ends(request));
    return true;
  };

  return {
    takes,
    take: (client, body, same) => new Exchange(parts, client, null).answer(body, same),
  };
}
