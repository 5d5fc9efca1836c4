import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Ids that clients and proxies may give their requests; others are replaced. */
const REQUEST_ID = /^[A-Za-z0-9_.:/+=-]{1,100}$/;

/** The id that a request has in answers, logs and in what is sent to the site. */
export function requestId(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}
