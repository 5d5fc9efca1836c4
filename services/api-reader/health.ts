import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

const UNAVAILABLE = 503;

/**
 * `/healthz` (the process lives), `/readyz` (reads are served from the replica), `/ping` and `/metrics`.
 * @param whyNotReady null once it is.
 */
export function health(app: FastifyInstance, registry: Registry, whyNotReady: () => string | null): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/ping', async (_request, reply) => reply.type('text/plain').send('pong\n'));
  app.get('/readyz', async (_request, reply) => {
    const reason = whyNotReady();
    return reply.code(reason === null ? 200 : UNAVAILABLE).send({ status: reason ?? 'ready' });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
}
