import type { Logger } from '@understudy/runtime/logging';
import { AuthenticationFault, SiteUnavailable } from '@understudy/site-client/faults';
import type { FastifyError } from 'fastify';
import { JSON_HEADERS } from './api-call.ts';
import { ClientGone, FAULT_CODES, faultBody, ReaderError, siteAway } from './errors.ts';

/** What a client is told of a failure. */
export interface Failure {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const OK = 200;
const INTERNAL_ERROR = 500;

const failure = (statusCode: number, message: string, code: number): Failure => ({
  statusCode,
  headers: JSON_HEADERS,
  body: JSON.stringify(faultBody(message, code)),
});

/**
 * Turns whatever was thrown into a reply: always JSON, since an empty body crashes clients (protocol §1.3). What the
 * reader did not expect is 500 without details, which no client repeats (protocol §1.4).
 */
export function failureFrom(error: unknown, log: Logger): Failure {
  if (error instanceof ReaderError) return failure(error.statusCode, error.message, error.faultCode);
  if (error instanceof AuthenticationFault) return failure(OK, error.message, error.code);
  if (error instanceof SiteUnavailable) return failureFrom(siteAway('credentials'), log);
  const status = (error as FastifyError | null)?.statusCode;
  if (status !== undefined && status >= 400 && status < INTERNAL_ERROR)
    return failure(status, `Understudy: ${(error as FastifyError).message}`, FAULT_CODES.request);
  if (error instanceof ClientGone) log.debug('a client went away before it was answered');
  else log.error({ err: error }, 'a request failed');
  return failure(INTERNAL_ERROR, 'Understudy: internal error', FAULT_CODES.operation);
}
