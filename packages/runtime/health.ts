import { fastify } from 'fastify';
import type { Registry } from 'prom-client';
import { closePromptly } from './close-promptly.ts';
import type { Config } from './config/sections.ts';

/**
 * Serves `/healthz` (the process lives), `/readyz` (it does its work) and `/metrics` for a service that has no HTTP
 * server of its own.
 * @param ready gives why the service is not ready, or null.
 */
export async function serveHealth(
  config: Config['health'],
  registry: Registry,
  ready: () => string | null,
): Promise<{ close(): Promise<void> }> {
  if (config.port === 0) return { close: async () => {} };
  const app = fastify();
  closePromptly(app);
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const reason = ready();
    return reply.code(reason === null ? 200 : 503).send({ status: reason ?? 'ready' });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
  await app.listen({ host: config.host, port: config.port });
  return { close: () => app.close() };
}
