import type { IncomingHttpHeaders } from 'node:http';

/** Headers by lower-case name, as Node and undici give and take them. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Headers of one connection only (RFC 9110 §7.6.1); never passed on. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What the request to the site sets for itself, or what has been answered already. */
const OWN_REQUEST_HEADERS: ReadonlySet<string> = new Set(['host', 'expect', 'x-request-id']);

function named(headers: Headers, list: string): ReadonlySet<string> {
  const value = headers[list];
  const text = Array.isArray(value) ? value.join(',') : (value ?? '');
  return new Set(text.split(',').map((name) => name.trim().toLowerCase()));
}

function* endToEnd(headers: Headers): Generator<[string, string | string[]]> {
  const ofThisConnection = named(headers, 'connection');
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || HOP_BY_HOP.has(name) || ofThisConnection.has(name)) continue;
    yield [name, value];
  }
}

/** The headers of a client's request that the site gets: all but those of the connection, and the host. */
export function requestHeaders(
  headers: IncomingHttpHeaders,
  requestId: string,
): Record<string, string | string[]> {
  const forwarded: Record<string, string | string[]> = {};
  for (const [name, value] of endToEnd(headers)) {
    if (!OWN_REQUEST_HEADERS.has(name)) forwarded[name] = value;
  }
  forwarded['x-request-id'] = requestId;
  return forwarded;
}

/** The headers of the site's reply that the client gets, cookies with them. */
export function replyHeaders(headers: Headers): Record<string, string | string[]> {
  return Object.fromEntries(endToEnd(headers));
}
