import type { ApiCall } from './api-call.ts';
import type { ApiClient } from './client/api-client.ts';
import type { Identity } from './identity.ts';

/** Where a call came from. */
export interface CallOrigin {
  readonly client: ApiClient;
  readonly siteHost: string;
}

/** A call as it came over HTTP. */
export class HttpCall implements ApiCall {
  readonly envelope: ApiCall['envelope'];
  readonly identity: Identity;
  readonly body: Buffer;
  readonly requestId: string;
  readonly #from: CallOrigin;

  constructor(
    envelope: ApiCall['envelope'],
    identity: Identity,
    body: Buffer,
    requestId: string,
    from: CallOrigin,
  ) {
    this.envelope = envelope;
    this.identity = identity;
    this.body = body;
    this.requestId = requestId;
    this.#from = from;
  }

  get headers(): ApiCall['headers'] {
    return this.#from.client.headers;
  }

  get origin(): string | null {
    return this.#from.client.origin(this.#from.siteHost);
  }

  get signal(): AbortSignal {
    return this.#from.client.signal;
  }
}
