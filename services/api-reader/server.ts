import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Config } from '@understudy/runtime/config/sections';
import type { Logger } from '@understudy/runtime/logging';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { type AnswerCall, apiRoute } from './api.ts';
import { failureFrom } from './failure.ts';
import { health } from './health.ts';
import { type MediaParts, media } from './media.ts';
import { type MediaRouteParts, mediaRoute } from './media-route.ts';
import type { ReaderMetrics } from './metrics.ts';
import { otherSites } from './other-sites.ts';
import { pages } from './pages.ts';
import { API_PATH } from './pass-through.ts';
import type { ReplicaWatch } from './replica-state.ts';
import { allowedSites, localPath } from './sites.ts';
import { refuseSlowBodies } from './slow-bodies.ts';
import { createTlsEndpoint } from './tls-endpoint.ts';
import { tunnels } from './tunnel.ts';
import type { Upstream } from './upstream.ts';

/** What the server is built of. */
export interface ServerParts {
  readonly config: Pick<Config, 'site' | 'reader'>;
  readonly log: Logger;
  readonly watch: ReplicaWatch;
  readonly metrics: ReaderMetrics;
  /** Opens connections to another allowed site. */
  readonly upstreamTo: (address: string) => Upstream;
  readonly passedOn: MediaParts;
  readonly media: MediaRouteParts;
  /** Answers calls for the replicated site. */
  readonly answer: AnswerCall;
  /** Null once the reader serves from the replica. */
  readonly whyNotReady: () => string | null;
}

/** Ids that clients and proxies may give their requests; others are replaced. */
const REQUEST_ID = /^[A-Za-z0-9_.:/+=-]{1,100}$/;
/** Longest path; longer ones are refused by the router. */
const PARAM_LENGTH_MAX = 300;

function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** One line for each request: who asked what, who answered, why, and how long it took. Never a key (protocol §1.2). */
function logAnswered(parts: ServerParts, log: Logger, request: FastifyRequest, reply: FastifyReply): void {
  const { call } = request;
  const ms = Math.round(reply.elapsedTime * 10) / 10;
  if (call === null) {
    // Paths of files may carry signatures in their query.
    const path = request.url.split('?', 1)[0];
    log.debug({ requestId: request.id, http: request.method, path, status: reply.statusCode, ms }, 'request');
    return;
  }
  const { identity } = call;
  log.info(
    {
      requestId: request.id,
      method: call.method,
      type: call.type,
      ...(identity.kind === 'script' ? { script: identity.name } : {}),
      ...(identity.kind === 'user' ? { user: identity.name } : {}),
      ...(identity.kind === 'session' ? { session: true } : {}),
      ...(identity.sudoAsLogin === null ? {} : { sudoAsLogin: identity.sudoAsLogin }),
      ms,
      source: call.source,
      reason: call.reason,
      status: reply.statusCode,
    },
    'call',
  );
  parts.metrics.count({
    method: call.method,
    source: call.source,
    reason: call.reason ?? 'none',
    seconds: reply.elapsedTime / 1_000,
  });
}

/** Builds the reader's HTTP server; `listen` and `close` are the caller's. @throws for a certificate that cannot be used. */
export async function createServer(parts: ServerParts): Promise<FastifyInstance> {
  const { config, log } = parts;
  // What is said of a call is made here, of parts that hold no secret: looking for one in each line takes 15 of 21 µs.
  const callLog = log.child({}, { redact: [] });
  const sites = allowedSites(config.site.url, config.reader.allowedSites);
  const app = fastify({
    genReqId: requestId,
    rewriteUrl: (request) => localPath(sites, request.url ?? ''),
    disableRequestLogging: true,
    // Those who are connected are answered while the process drains.
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
  });
  app.decorateRequest('call', null);
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    logAnswered(parts, callLog, request, reply);
    done();
  });
  app.setErrorHandler((error, request, reply) => {
    const { statusCode, headers, body } = failureFrom(error, log.child({ requestId: request.id }));
    return reply.code(statusCode).headers(headers).send(body);
  });
  refuseSlowBodies(app, config.reader.slowBodyMs);
  health(app, parts.metrics.registry, parts.whyNotReady);
  apiRoute(app, {
    url: API_PATH,
    bodyLimitBytes: config.reader.bodyLimitBytes,
    watch: parts.watch,
    siteHost: new URL(config.site.url).host,
    answer: parts.answer,
  });
  otherSites(app, {
    addressOf: sites.addressOf,
    upstreamTo: parts.upstreamTo,
    bodyLimitBytes: config.reader.bodyLimitBytes,
    watch: parts.watch,
  });
  media(app, parts.passedOn);
  mediaRoute(app, parts.media);
  pages(app, config.site.url);
  const { tlsCertificateFile: certificate, tlsKeyFile: key } = config.reader;
  const tls = certificate === '' ? null : await createTlsEndpoint(app.server, { certificate, key }, log);
  const closeTunnels = tunnels({ server: app.server, sites, tls, log });
  app.addHook('onClose', async () => closeTunnels());
  return app;
}
