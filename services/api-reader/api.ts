import { AuthenticationFault } from '@understudy/site-client/faults';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Answer, ApiCall } from './api-call.ts';
import { parseEnvelope, payloadType } from './envelope.ts';
import { badEnvelope } from './errors.ts';
import { type Identity, identityOf } from './identity.ts';
import type { ReplicaWatch } from './replica-state.ts';

/** What is logged and counted of a call. Holds no secret. */
export interface CallSummary {
  readonly method: string;
  readonly type: string | null;
  readonly identity: Identity;
  readonly sessionUuid: string | null;
  source: Answer['source'];
  reason: string | null;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Of calls of the JSON API whose envelope could be read; null for everything else. */
    call: CallSummary | null;
  }
}

/** Answers one call. @throws ReaderError, AuthenticationFault */
export type AnswerCall = (call: ApiCall) => Promise<Answer>;

/** Says on every answer who gave it and how fresh the replica is. */
export function markAnswer(
  reply: FastifyReply,
  watch: ReplicaWatch,
  source: Answer['source'],
  reason: string | null,
): void {
  reply.header('x-understudy', reason === null ? source : `${source}; reason=${reason}`);
  const state = watch.current();
  if (state?.watermark != null) reply.header('x-understudy-watermark', state.watermark.appliedThrough);
  if (state?.lagMs != null) reply.header('x-understudy-lag-ms', Math.round(state.lagMs));
}

/** What a Host header may hold to be repeated in a link. */
const HOST = /^[a-z0-9.-]+(:\d{1,5})?$|^\[[0-9a-f:]+\](:\d{1,5})?$/i;

function originOf(request: FastifyRequest, siteHost: string | undefined): string | null {
  const { originalUrl, protocol, headers } = request;
  const { host } = headers;
  // Through a proxy's request or tunnel the host is the site's, which knows nothing of our links.
  if (host === undefined || host === siteHost || !HOST.test(host) || !originalUrl.startsWith('/'))
    return null;
  return `${protocol}://${host}`;
}

/** Aborts once the client has gone away before its answer was sent. */
function goneOf(reply: FastifyReply): AbortController {
  const gone = new AbortController();
  const abort = (): void => gone.abort(new Error('the client went away'));
  if (reply.raw.closed || reply.raw.destroyed) abort();
  else reply.raw.once('close', abort);
  return gone;
}

/**
 * The JSON API's endpoint at some path (protocol §1.1): takes the envelope apart, has the call answered, and sends the
 * answer as it is.
 */
export function apiRoute(
  app: FastifyInstance,
  options: {
    readonly url: string;
    readonly bodyLimitBytes: number;
    readonly watch: ReplicaWatch;
    /** Of the site that is answered for, `host:port` as clients name it; none where all is passed on. */
    readonly siteHost?: string;
    readonly answer: (call: ApiCall, request: FastifyRequest) => Promise<Answer>;
  },
): void {
  app.register(async (api) => {
    api.removeAllContentTypeParsers();
    api.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: options.bodyLimitBytes },
      (_request, body, done) => done(null, body),
    );
    api.post(options.url, { bodyLimit: options.bodyLimitBytes }, async (request, reply) => {
      const { body } = request;
      if (!Buffer.isBuffer(body)) throw badEnvelope('there is no body');
      const envelope = parseEnvelope(body);
      const identity = identityOf(envelope.auth);
      const summary: CallSummary = {
        method: envelope.method,
        type: payloadType(envelope.payload),
        identity,
        sessionUuid: null,
        source: 'site',
        reason: null,
      };
      request.call = summary;
      let gone: AbortController | null = null;
      const call: ApiCall = {
        envelope,
        identity,
        body,
        headers: request.headers,
        requestId: request.id,
        origin: originOf(request, options.siteHost),
        // Made for those who ask: an answer of the replica needs none.
        get signal() {
          gone ??= goneOf(reply);
          return gone.signal;
        },
      };
      let answer: Answer;
      try {
        answer = await options.answer(call, request);
      } catch (error) {
        summary.reason = error instanceof AuthenticationFault ? 'refused' : 'failed';
        markAnswer(reply, options.watch, 'site', summary.reason);
        throw error;
      }
      summary.source = answer.source;
      summary.reason = answer.reason;
      markAnswer(reply, options.watch, answer.source, answer.reason);
      return reply.code(answer.statusCode).headers(answer.headers).send(answer.body);
    });
  });
}
