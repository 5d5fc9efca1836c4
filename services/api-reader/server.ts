import { createServer as createHttpServer } from 'node:http';
import { closePromptly } from '@understudy/runtime/close-promptly';
import type { Config } from '@understudy/runtime/config/sections';
import type { Logger } from '@understudy/runtime/logging';
import { type FastifyInstance, fastify, LogController } from 'fastify';
import { type ApiEndpoint, apiEndpoint } from './api.ts';
import { createCallLog } from './call-log.ts';
import { type PlainConnections, takePlainRequests } from './client/plain-connections.ts';
import { giveUpStalled } from './client/stalled-answers.ts';
import type { AnswerCall } from './exchange.ts';
import { failureFrom } from './failure.ts';
import { health } from './health.ts';
import type { KnownReads } from './known-reads.ts';
import { type MediaParts, media } from './media.ts';
import { type MediaRouteParts, mediaRoute } from './media-route.ts';
import type { ReaderMetrics } from './metrics.ts';
import { otherSites } from './other-sites.ts';
import { pages } from './pages.ts';
import type { ReplicaWatch } from './replica-state.ts';
import { createRequestIds } from './request-id.ts';
import type { ShadowReads } from './shadow-reads.ts';
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
  readonly knownReads: KnownReads;
  readonly offerShadow: ShadowReads['offer'];
  /** Null once the reader serves from the replica. */
  readonly whyNotReady: () => string | null;
}

/** Longest path; longer ones are refused by the router. */
const PARAM_LENGTH_MAX = 300;

/** What is idle for longer is closed, and so is a connection whose client takes nothing of its answer. */
const KEEP_ALIVE_MS = 72_000;

/** Builds the reader's HTTP server; `listen` and `close` are the caller's. @throws for a certificate that cannot be used. */
export async function createServer(parts: ServerParts): Promise<FastifyInstance> {
  const { config, log } = parts;
  const sites = allowedSites(config.site.url, config.reader.allowedSites);
  const requestIdOf = createRequestIds();
  let endpoint: ApiEndpoint | null = null;
  let plain: PlainConnections | null = null;
  const app = fastify({
    serverFactory: (handler) => {
      const server = createHttpServer((request, response) => {
        giveUpStalled(response, KEEP_ALIVE_MS);
        if (endpoint?.takes(request, response) !== true) handler(request, response);
      });
      server.keepAliveTimeout = KEEP_ALIVE_MS;
      if (config.reader.plainRequests)
        plain = takePlainRequests(server, {
          take: (client, body, same) => endpoint?.take(client, body, same),
          keepAliveMs: KEEP_ALIVE_MS,
          bodyBytesMax: config.reader.bodyLimitBytes,
        });
      // How long a request may take to come is no business of ours: uploads take hours.
      server.requestTimeout = 0;
      return server;
    },
    genReqId: ({ headers }) => requestIdOf(headers),
    rewriteUrl: (request) => localPath(sites, request.url ?? ''),
    logController: new LogController({ disableRequestLogging: true }),
    // Those who are connected are answered while the process drains.
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
  });
  closePromptly(app);
  app.addHook('preClose', async () => plain?.close());
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const ms = Math.round(reply.elapsedTime * 10) / 10;
    // Paths of files may carry signatures in their query.
    const path = request.url.split('?', 1)[0];
    log.debug({ requestId: request.id, http: request.method, path, status: reply.statusCode, ms }, 'request');
    done();
  });
  app.setErrorHandler((error, request, reply) => {
    const { statusCode, headers, body } = failureFrom(error, log.child({ requestId: request.id }));
    return reply.code(statusCode).headers(headers).send(body);
  });
  const bodies = refuseSlowBodies(app, config.reader.slowBodyMs);
  health(app, parts.metrics.registry, parts.whyNotReady);
  endpoint = apiEndpoint({
    sites,
    siteHost: new URL(config.site.url).host,
    bodyLimitBytes: config.reader.bodyLimitBytes,
    watch: parts.watch,
    requestIdOf,
    calls: createCallLog(log, parts.metrics),
    log,
    bodies,
    isClosing: () => !app.server.listening,
    answer: parts.answer,
    knownReads: parts.knownReads,
    offerShadow: parts.offerShadow,
    answerElsewhere: otherSites(app, { addressOf: sites.addressOf, upstreamTo: parts.upstreamTo }),
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
