import {
  AuthenticationFault,
  SiteAnswerLost,
  SiteFault,
  SiteProtocolError,
  SiteUnavailable,
} from './faults.ts';

/** What became of a request to the site. */
export type RequestOutcome =
  | 'answered'
  /** The site refused it. */
  | 'fault'
  /** The site does not, or no longer, accept the credentials. */
  | 'unauthenticated'
  /** No answer could be had. */
  | 'unavailable'
  /** A write was sent and its answer lost. */
  | 'answer-lost'
  /** What answered does not speak the site's protocol. */
  | 'not-the-site'
  /** It was given up before its answer came. */
  | 'aborted';

/** @returns what an error of a request means; of one that is none of the client's own, that it was given up. */
export function outcomeOf(error: unknown): RequestOutcome {
  if (error instanceof AuthenticationFault) return 'unauthenticated';
  if (error instanceof SiteFault) return 'fault';
  if (error instanceof SiteUnavailable) return 'unavailable';
  if (error instanceof SiteAnswerLost) return 'answer-lost';
  if (error instanceof SiteProtocolError) return 'not-the-site';
  return 'aborted';
}
