import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Ids that clients and proxies may give their requests; others are replaced. */
const REQUEST_ID = /^[A-Za-z0-9_.:/+=-]{1,100}$/;
const PROCESS_BYTES = 12;
const BASE = 36;

/** The id that a request has in answers, logs and in what is sent to the site. */
export type RequestIdOf = (headers: IncomingHttpHeaders) => string;

/**
 * Ids of no two processes are the same; those of one are counted: a random one for each request takes as long as finding its
 * answer in memory.
 */
export function createRequestIds(): RequestIdOf {
  const process = randomBytes(PROCESS_BYTES).toString('base64url');
  let count = 0;
  return (headers) => {
    const given = headers['x-request-id'];
    if (typeof given === 'string' && REQUEST_ID.test(given)) return given;
    count += 1;
    return `${process}.${count.toString(BASE)}`;
  };
}
