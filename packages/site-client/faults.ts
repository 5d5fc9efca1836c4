/** The site answered, and refused: `{"exception": true}` (protocol §1.3). */
export class SiteFault extends Error {
  override name = 'SiteFault';
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

/** The credentials are not, or no longer, good (codes 102, 106, 108, 110). */
export class AuthenticationFault extends SiteFault {
  override name = 'AuthenticationFault';
}

/** No answer could be had: refused, closed, too slow, or a server's error. Nothing is known to have changed. */
export class SiteUnavailable extends Error {
  override name = 'SiteUnavailable';
}

/** A write was sent and its answer lost: it may or may not have happened, so it is never sent again (protocol §1.4). */
export class SiteAnswerLost extends Error {
  override name = 'SiteAnswerLost';
}

/** Something answered that does not speak the site's protocol. */
export class SiteProtocolError extends Error {
  override name = 'SiteProtocolError';
}

const AUTHENTICATION_CODES: ReadonlySet<number> = new Set([102, 106, 108, 110]);

/** @returns the typed error for a fault's envelope (protocol §1.3). */
export function faultFrom(message: unknown, code: unknown): SiteFault {
  const text = typeof message === 'string' && message !== '' ? message : 'Unknown Error';
  const number = typeof code === 'number' ? code : 0;
  return AUTHENTICATION_CODES.has(number)
    ? new AuthenticationFault(text, number)
    : new SiteFault(text, number);
}
