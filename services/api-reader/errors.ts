import type { Json } from '@understudy/domain/entity';

/** Codes of a fault's envelope (protocol §1.3). */
export const FAULT_CODES = { authentication: 102, request: 103, operation: 104 } as const;

/**
 * What the reader itself refuses or cannot do, with the HTTP status and the fault that tell the client. The statuses
 * follow protocol §1.4: 502 and 504 are never used, since they invite the client to send the request again.
 */
export class ReaderError extends Error {
  override readonly name = 'ReaderError';
  readonly statusCode: number;
  readonly faultCode: number;

  constructor(message: string, statusCode: number, faultCode: number) {
    super(message);
    this.statusCode = statusCode;
    this.faultCode = faultCode;
  }
}

/** Whoever asked has gone away before there was an answer: nobody sees one, and nothing is wrong here. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';

  constructor() {
    super('the client went away');
  }
}

const OK = 200;
const BAD_REQUEST = 400;
const FORBIDDEN = 403;
const NOT_FOUND = 404;
const TOO_SLOW = 408;
const CONTENT_TOO_LARGE = 413;
const INTERNAL_ERROR = 500;
const UNAVAILABLE = 503;

/** A body that is not a request of the JSON API; nothing is sent to the site. */
export const badEnvelope = (why: string): ReaderError =>
  new ReaderError(`Understudy: not a request of the JSON API: ${why}`, BAD_REQUEST, FAULT_CODES.request);

/** A body that nests deeper than any client's, and than sites can take; a fault, so that the client shows why. */
export const nestedTooDeeply = (levelsMax: number): ReaderError =>
  new ReaderError(
    `Understudy: the request nests deeper than ${levelsMax} levels; nothing was sent to the site`,
    OK,
    FAULT_CODES.request,
  );

/** A body that hardly moves; its connection ends with it. */
export const bodyTooSlow = (): ReaderError =>
  new ReaderError('Understudy: the request came too slowly', TOO_SLOW, FAULT_CODES.request);

/** A body that is larger than any client's; it is not read. */
export const bodyTooLarge = (limitBytes: number): ReaderError =>
  new ReaderError(
    `Understudy: the body is larger than ${limitBytes} bytes`,
    CONTENT_TOO_LARGE,
    FAULT_CODES.request,
  );

/** A host that the reader does not lead to. It names no host: what was asked may be hostile. */
export const siteNotAllowed = (): ReaderError =>
  new ReaderError('Understudy leads to its configured sites only', FORBIDDEN, FAULT_CODES.request);

export const noSuchPage = (): ReaderError =>
  new ReaderError('Understudy has no such page', NOT_FOUND, FAULT_CODES.request);

/** A link to a picture that is not one of ours, was changed, or is too old. */
export const linkRefused = (): ReaderError =>
  new ReaderError('Understudy: this link is not, or no longer, good', FORBIDDEN, FAULT_CODES.request);

export const noSuchPicture = (): ReaderError =>
  new ReaderError('Understudy: the site has no such picture now', NOT_FOUND, FAULT_CODES.operation);

/** A read that needs the site, which is away. 503 is not tried again by the client. */
export const siteAway = (why: string): ReaderError =>
  new ReaderError(
    `Understudy: the site cannot be reached, and this cannot be answered without it: ${why}`,
    UNAVAILABLE,
    FAULT_CODES.operation,
  );

/** A write that was surely not done, since nothing of it reached the site: a fault, so that the client shows why. */
export const writeNotSent = (why: string): ReaderError =>
  new ReaderError(
    `Understudy: the site cannot be reached, nothing was written: ${why}`,
    OK,
    FAULT_CODES.operation,
  );

const ANSWER_LOST =
  'Understudy: the answer of the site was lost. The write may have been done: look before you repeat it';

/** A write that may have been done (protocol §1.4): a fault, which no client sends again by itself. */
export const writeAnswerLost = (): ReaderError => new ReaderError(ANSWER_LOST, OK, FAULT_CODES.operation);

/** The same of what is no call of the JSON API: its clients look at the status, and take 200 for done. */
export const answerLost = (): ReaderError =>
  new ReaderError(ANSWER_LOST, INTERNAL_ERROR, FAULT_CODES.operation);

/** A failure as the REST API has it (protocol §7.1). */
export function restFault({ message, statusCode, faultCode }: ReaderError, requestId: string): Json {
  const error = { id: requestId, status: statusCode, code: faultCode, title: message };
  return { errors: [{ ...error, source: null, detail: null }] };
}

/** The envelope of a fault (protocol §1.3). */
export function faultBody(message: string, code: number): Json {
  return { exception: true, message, error_code: code };
}
