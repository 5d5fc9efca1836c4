import type { Logger } from '@understudy/runtime/logging';
import { AuthenticationFault } from '@understudy/site-client/faults';
import {
  type Answer,
  type ApiCall,
  jsonAnswer,
  ONE_PIECE_BYTES,
  OwnBytes,
  SharedBytes,
  type WholeBody,
} from './api-call.ts';
import type { CallLog, CallSummary } from './call-log.ts';
import type { ApiClient } from './client/api-client.ts';
import { parseEnvelope, payloadType } from './envelope.ts';
import { ClientGone } from './errors.ts';
import { failureFrom } from './failure.ts';
import { HttpCall } from './http-call.ts';
import { type Identity, identityOf } from './identity.ts';
import type { KnownRead, KnownReads, SeenRequest } from './known-reads.ts';
import type { ReplicaWatch } from './replica-state.ts';
import type { RequestIdOf } from './request-id.ts';
import type { ShadowReads } from './shadow-reads.ts';

/** Answers one call. @throws ReaderError, AuthenticationFault */
export type AnswerCall = (call: ApiCall) => Promise<Answer>;

export interface ExchangeParts {
  /** Of the site that is answered for, `host:port` as clients name it. */
  readonly siteHost: string;
  readonly requestIdOf: RequestIdOf;
  readonly watch: ReplicaWatch;
  readonly calls: CallLog;
  readonly log: Logger;
  /** Whether connections end with their next answer: the process drains. */
  readonly isClosing: () => boolean;
  /** Answers calls for the replicated site. */
  readonly answer: AnswerCall;
  /** Answers those of them that are asked again and again. */
  readonly knownReads: KnownReads;
  readonly offerShadow: ShadowReads['offer'];
  /** Answers calls for another site, named as in a path. @throws ReaderError where it is not allowed. */
  readonly answerElsewhere: (site: string, call: ApiCall) => Promise<Answer>;
}

/** In a word, for headers, logs and metrics. */
function whyFailed(error: unknown): string {
  if (error instanceof AuthenticationFault) return 'refused';
  return error instanceof ClientGone ? 'client-gone' : 'failed';
}

const isWhole = (body: Answer['body']): body is WholeBody =>
  typeof body === 'string' || body instanceof SharedBytes || body instanceof OwnBytes;

/** One request of the endpoint and its answer. */
export class Exchange {
  readonly #parts: ExchangeParts;
  readonly #client: ApiClient;
  readonly #elsewhere: string | null;
  readonly #began = performance.now();
  readonly #id: string;
  #summary: CallSummary | null = null;
  #isKnown = false;
  #source: Answer['source'] = 'site';
  #reason: string | null = null;

  /** @param elsewhere names another site, as in a path, that the call is for; null: the replicated one. */
  constructor(parts: ExchangeParts, client: ApiClient, elsewhere: string | null) {
    this.#parts = parts;
    this.#client = client;
    this.#elsewhere = elsewhere;
    this.#id = parts.requestIdOf(client.headers);
  }

  /**
   * Has the call answered that a body holds. Never throws: whatever fails becomes an answer.
   * @param same stands for all requests that are equal to its own byte for byte; null: it is not known whether there are others.
   */
  answer(body: Buffer, same: object | null): void {
    const { knownReads } = this.#parts;
    const seen = this.#elsewhere === null ? knownReads.seen(body, same) : null;
    const known = seen === null ? null : knownReads.find(seen);
    if (known === null) {
      void this.#answerUnknown(seen, body);
      return;
    }
    known.body().then(
      (given) => this.#giveKnown(known, given, body),
      // Whoever takes it apart finds the same, and knows what to do.
      () => this.#answerUnknown(seen, body),
    );
  }

  async #answerUnknown(seen: SeenRequest | null, body: Buffer): Promise<void> {
    let call: ApiCall;
    let answer: Answer;
    try {
      const envelope = parseEnvelope(body);
      const identity = identityOf(envelope.auth);
      this.#summary = { method: envelope.method, type: payloadType(envelope.payload), identity };
      call = this.#call(envelope, identity, body);
      const { answer: answerHere, answerElsewhere } = this.#parts;
      answer = await (this.#elsewhere === null ? answerHere(call) : answerElsewhere(this.#elsewhere, call));
    } catch (error) {
      this.#fail(error, false);
      return;
    }
    this.#give(answer);
    if (seen !== null && answer.source === 'replica' && answer.reason === null) this.#learn(seen, call);
  }

  #giveKnown(known: KnownRead, given: SharedBytes | OwnBytes, body: Buffer): void {
    this.#summary = known.summary;
    this.#isKnown = true;
    const answer = jsonAnswer('replica', null, given);
    this.#give(answer);
    this.#parts.offerShadow(() => this.#call(parseEnvelope(body), known.summary.identity, body), answer);
  }

  #learn(seen: SeenRequest, call: ApiCall): void {
    try {
      this.#parts.knownReads.learn(seen, call);
    } catch (error) {
      // It has been answered; others like it are taken apart as well.
      this.#parts.log.error({ err: error, requestId: this.#id }, 'a read could not be learned');
    }
  }

  #give(answer: Answer): void {
    this.#source = answer.source;
    this.#reason = answer.reason;
    const headers = this.#headers(true);
    for (const name in answer.headers) {
      const value = answer.headers[name];
      // Of what is held as a whole the length is told when it is sent.
      if (value === undefined || (name === 'content-length' && isWhole(answer.body))) continue;
      headers.push(name, value);
    }
    this.#send(answer.statusCode, headers, answer.body);
  }

  /** Answers what is not looked into; the rest of the request may still be on its way, so the connection ends. */
  refuse(error: Error): void {
    this.#fail(error, true);
  }

  #call(envelope: ApiCall['envelope'], identity: Identity, body: Buffer): ApiCall {
    const from = { client: this.#client, siteHost: this.#parts.siteHost };
    return new HttpCall(envelope, identity, body, this.#id, from);
  }

  #fail(error: unknown, closes: boolean): void {
    this.#source = 'site';
    this.#reason = whyFailed(error);
    const failure = failureFrom(error, this.#parts.log.child({ requestId: this.#id }));
    const headers = this.#headers(this.#summary !== null);
    for (const [name, value] of Object.entries(failure.headers)) headers.push(name, value);
    this.#send(failure.statusCode, headers, failure.body, closes);
  }

  /** Those that say who answers and how fresh the replica is. @param isMarked whether there is a call at all. */
  #headers(isMarked: boolean): (string | string[])[] {
    const headers: (string | string[])[] = ['x-request-id', this.#id];
    if (!isMarked) return headers;
    const reason = this.#reason;
    headers.push('x-understudy', reason === null ? this.#source : `${this.#source}; reason=${reason}`);
    const state = this.#parts.watch.current();
    if (state?.watermark != null) headers.push('x-understudy-watermark', `${state.watermark.appliedThrough}`);
    if (state?.lagMs != null) headers.push('x-understudy-lag-ms', `${Math.round(state.lagMs)}`);
    return headers;
  }

  #send(statusCode: number, headers: (string | string[])[], body: Answer['body'], mustClose = false): void {
    const closes = mustClose || this.#parts.isClosing();
    if (!isWhole(body)) {
      this.#client.stream({ statusCode, headers, body }, closes, () => this.#done(statusCode));
      return;
    }
    const bytes = typeof body === 'string' ? Buffer.from(body) : body.bytes;
    headers.push('content-length', `${bytes.length}`);
    let sending: string | Buffer = bytes;
    let sent: (() => void) | null = null;
    // A text goes out in one piece with the headers: byte for byte, whatever the bytes stand for.
    if (bytes.length <= ONE_PIECE_BYTES)
      sending = body instanceof SharedBytes ? body.latin1 : bytes.toString('latin1');
    else if (body instanceof OwnBytes) sent = () => body.giveBack();
    this.#client.send({ statusCode, headers, body: sending, sent }, closes);
    this.#done(statusCode);
  }

  #done(status: number): void {
    const elapsedMs = performance.now() - this.#began;
    const { calls } = this.#parts;
    const summary = this.#summary;
    if (this.#isKnown && summary !== null) calls.toldAlike(this.#id, elapsedMs, summary);
    else calls.told(this.#id, elapsedMs, { source: this.#source, reason: this.#reason, status }, summary);
  }
}
