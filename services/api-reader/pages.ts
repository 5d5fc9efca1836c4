import type { FastifyInstance } from 'fastify';
import { noSuchPage } from './errors.ts';

const FOUND = 302;

/**
 * Pages of the web application are the site's: `/`, `/page/…`, `/detail/…` and whatever else a browser asks for is
 * redirected there.
 * @param siteUrl origin of the site; what follows the host in a request is appended, so it leads nowhere else.
 */
export function pages(app: FastifyInstance, siteUrl: string): void {
  const { origin } = new URL(siteUrl);
  app.route({
    method: ['GET', 'HEAD'],
    url: '/*',
    handler: (request, reply) => reply.redirect(`${origin}${request.url}`, FOUND),
  });
  app.setNotFoundHandler(() => {
    throw noSuchPage();
  });
}
