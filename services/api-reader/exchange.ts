import type { Logger } from '@understudy/runtime/logging';
import { AuthenticationFault } from '@understudy/site-client/faults';
import { type Answer, type ApiCall, jsonAnswer, OwnBytes, type WholeBody } from './api-call.ts';
import type { ApiClient } from './client/api-client.ts';
import { parseEnvelope, payloadType } from './envelope.ts';
import { ClientGone } from './errors.ts';
import { failureFrom } from './failure.ts';
import { HttpCall } from './http-call.ts';
import { type Identity, identityOf } from './identity.ts';
import type { KnownRead, KnownReads } from './known-reads.ts';
import type { ReaderMetrics } from './metrics.ts';
import { API_PATH } from './pass-through.ts';
import type { ReplicaWatch } from './replica-state.ts';
import { requestId } from './request-id.ts';
import type { RequestShape } from './request-shape.ts';
import type { ShadowReads } from './shadow-reads.ts';

/** What is logged and counted of a call. Holds no secret. */
export interface CallSummary {
  readonly method: string;
  readonly type: string | null;
  readonly identity: Identity;
}

/** Answers one call. @throws ReaderError, AuthenticationFault */
export type AnswerCall = (call: ApiCall) => Promise<Answer>;

export interface ExchangeParts {
  /** Of the site that is answered for, `host:port` as clients name it. */
  readonly siteHost: string;
  readonly watch: ReplicaWatch;
  readonly metrics: ReaderMetrics;
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

/** What is logged of a call. */
interface CallLine {
  readonly requestId: string;
  readonly method: string;
  readonly type: string | null;
  script?: string | null;
  user?: string | null;
  session?: boolean;
  sudoAsLogin?: string | null;
  ms?: number;
  source?: string;
  reason?: string | null;
  status?: number;
}

/** Longest name that is logged: names are what a caller sent. */
const LOGGED_LENGTH_MAX = 100;

const shortened = (name: string | null): string | null =>
  name === null || name.length <= LOGGED_LENGTH_MAX ? name : `${name.slice(0, LOGGED_LENGTH_MAX)}…`;

/** Bodies up to this are sent together with the headers; more is not copied for it. */
const ONE_PIECE_BYTES = 16_384;

/** In a word, for headers, logs and metrics. */
function whyFailed(error: unknown): string {
  if (error instanceof AuthenticationFault) return 'refused';
  return error instanceof ClientGone ? 'client-gone' : 'failed';
}

const isWhole = (body: Answer['body']): body is WholeBody =>
  typeof body === 'string' || Buffer.isBuffer(body) || body instanceof OwnBytes;

/** One request of the endpoint and its answer. */
export class Exchange {
  readonly #parts: ExchangeParts;
  readonly #log: Logger;
  readonly #client: ApiClient;
  readonly #elsewhere: string | null;
  readonly #began = performance.now();
  readonly #id: string;
  #summary: CallSummary | null = null;
  #source: Answer['source'] = 'site';
  #reason: string | null = null;

  /** @param elsewhere names another site, as in a path, that the call is for; null: the replicated one. */
  constructor(parts: ExchangeParts, log: Logger, client: ApiClient, elsewhere: string | null) {
    this.#parts = parts;
    this.#log = log;
    this.#client = client;
    this.#elsewhere = elsewhere;
    this.#id = requestId(client.headers);
  }

  /** Has the call answered that a body holds. Never throws: whatever fails becomes an answer. */
  async answer(body: Buffer): Promise<void> {
    const { knownReads } = this.#parts;
    const shape = this.#elsewhere === null ? knownReads.shapeOf(body) : null;
    const known = shape === null ? null : knownReads.find(shape);
    if (known !== null && (await this.#answerKnown(known, body))) return;
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
    if (shape !== null && answer.source === 'replica' && answer.reason === null) this.#learn(shape, call);
  }

  /** @returns false for what has to be taken apart; nothing has been sent then. */
  async #answerKnown(known: KnownRead, body: Buffer): Promise<boolean> {
    let given: Buffer | OwnBytes;
    try {
      given = await known.body();
    } catch {
      // Whoever takes it apart finds the same, and knows what to do.
      return false;
    }
    this.#summary = known.summary;
    const answer = jsonAnswer('replica', null, given);
    this.#give(answer);
    this.#parts.offerShadow(() => this.#call(parseEnvelope(body), known.summary.identity, body), answer);
    return true;
  }

  #learn(shape: RequestShape, call: ApiCall): void {
    try {
      this.#parts.knownReads.learn(shape, call);
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
    const bytes = body instanceof OwnBytes ? body.bytes : typeof body === 'string' ? Buffer.from(body) : body;
    headers.push('content-length', `${bytes.length}`);
    // A text goes out in one piece with the headers: byte for byte, whatever the bytes stand for.
    const isSmall = bytes.length <= ONE_PIECE_BYTES;
    const sent = body instanceof OwnBytes && !isSmall ? () => body.giveBack() : null;
    this.#client.send(
      { statusCode, headers, body: isSmall ? bytes.toString('latin1') : bytes, sent },
      closes,
    );
    this.#done(statusCode);
  }

  /** One line for each call: who asked what, who answered, why, and how long it took. Never a key (protocol §1.2). */
  #done(status: number): void {
    const elapsedMs = performance.now() - this.#began;
    const ms = Math.round(elapsedMs * 10) / 10;
    const summary = this.#summary;
    if (summary === null) {
      this.#log.debug({ requestId: this.#id, http: 'POST', path: API_PATH, status, ms }, 'request');
      return;
    }
    const { method, type, identity } = summary;
    const source = this.#source;
    const reason = this.#reason;
    // Made key by key: spread, it takes longer to make than to write.
    const line: CallLine = { requestId: this.#id, method, type: shortened(type) };
    if (identity.kind === 'script') line.script = shortened(identity.name);
    else if (identity.kind === 'user') line.user = shortened(identity.name);
    else if (identity.kind === 'session') line.session = true;
    if (identity.sudoAsLogin !== null) line.sudoAsLogin = shortened(identity.sudoAsLogin);
    line.ms = ms;
    line.source = source;
    line.reason = reason;
    line.status = status;
    this.#log.info(line, 'call');
    this.#parts.metrics.count({ method, source, reason: reason ?? 'none', seconds: elapsedMs / 1_000 });
  }
}
