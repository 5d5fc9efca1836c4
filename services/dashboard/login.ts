import { hash, timingSafeEqual } from 'node:crypto';
import { fastifyBasicAuth } from '@fastify/basic-auth';
import type { FastifyInstance } from 'fastify';

/** What probes and Prometheus ask for; it shows no data and changes nothing. */
const OPEN: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Asks for a password (HTTP Basic) before anything is shown but health and metrics. The name may be anything.
 * @param password empty: none is asked for.
 */
export async function askForPassword(app: FastifyInstance, password: string): Promise<void> {
  if (password === '') return;
  const expected = digest(password);
  await app.register(fastifyBasicAuth, {
    authenticate: { realm: 'Understudy' },
    validate: async (_name, given) => {
      if (!timingSafeEqual(digest(given), expected)) throw new Error('wrong password');
    },
  });
  app.addHook('onRequest', (request, reply, done) => {
    if (OPEN.has(request.routeOptions.url ?? '')) done();
    else app.basicAuth(request, reply, done);
  });
}

const digest = (text: string): Buffer => hash('sha256', text, 'buffer');
