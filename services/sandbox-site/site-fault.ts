/** A refusal of the site, sent as `{"exception": true, …}` with HTTP 200 (protocol §1.3). */
export class SandboxFault extends Error {
  override readonly name = 'SandboxFault';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Malformed or invalid request (103). */
export const badRequest = (message: string): SandboxFault => new SandboxFault(103, message);
/** The operation failed on the data (104). */
export const badData = (message: string): SandboxFault => new SandboxFault(104, message);
