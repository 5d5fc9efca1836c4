import type { FastifyInstance, FastifyRequest } from 'fastify';
import { noSuchPage, siteNotAllowed } from './errors.ts';
import type { ExchangeParts } from './exchange.ts';
import { media } from './media.ts';
import { passThrough } from './pass-through.ts';
import type { Upstream } from './upstream.ts';

export interface OtherSitesParts {
  /** @returns the address of an allowed site by its name in a request, or null. */
  readonly addressOf: (host: string) => string | null;
  /** Opens connections to an allowed site. */
  readonly upstreamTo: (address: string) => Upstream;
}

/** In front of the path of a request for another site than the replicated one (`localPath`). */
const PREFIX = '/next=:site';
const FOUND = 302;

/**
 * Requests for other allowed sites: the JSON API, files and the REST API are passed on to the site that is named, and
 * nothing of them is kept; pages of the web application lead to it. Whatever names a site that is not allowed is refused.
 * @returns what passes calls of the JSON API on; they come by its endpoint.
 */
export function otherSites(app: FastifyInstance, parts: OtherSitesParts): ExchangeParts['answerElsewhere'] {
  const upstreams = new Map<string, Upstream>();
  const addressOf = (site: string): string => {
    const address = parts.addressOf(site);
    if (address === null) throw siteNotAllowed();
    return address;
  };
  const siteOf = (request: FastifyRequest): string => (request.params as { readonly site: string }).site;
  const addressFor = (request: FastifyRequest): string => addressOf(siteOf(request));
  const upstreamTo = (site: string): Upstream => {
    const address = addressOf(site);
    const known = upstreams.get(address) ?? parts.upstreamTo(address);
    upstreams.set(address, known);
    return known;
  };
  app.register(async (others) => {
    others.addHook('onClose', async () => {
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
    });
    // Before anything of a request is looked into.
    others.addHook('onRequest', async (request) => {
      addressFor(request);
    });
    others.removeAllContentTypeParsers();
    others.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    media(others, {
      upstreamOf: (request) => upstreamTo(siteOf(request)),
      settling: null,
      schemaChanged: async () => {},
      prefix: PREFIX,
    });
    others.route({
      method: ['GET', 'HEAD'],
      url: `${PREFIX}/*`,
      // The path begins with a slash, so it cannot become part of the host.
      handler: (request, reply) =>
        reply.redirect(`${addressFor(request)}${request.url.slice(request.url.indexOf('/', 1))}`, FOUND),
    });
    others.route({
      method: ['POST', 'PUT', 'PATCH', 'DELETE'],
      url: `${PREFIX}/*`,
      handler: async () => {
        throw noSuchPage();
      },
    });
  });
  return async (site, call) => passThrough(upstreamTo(site), call, 'other-site');
}
