import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Sandbox } from './sandbox-site.ts';

const ADMIN_PREFIX = '/_sandbox';
const SECOND_MS = 1_000;

function closeConnection(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  request.raw.socket.destroy();
  return reply.hijack();
}

/** Requests answered in the running second. */
class RequestCount {
  #second = 0;
  #count = 0;

  /** @returns whether one more is within the limit. */
  admits(limit: number): boolean {
    const second = Math.floor(Date.now() / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count <= limit;
  }
}

/** Makes everything but the admin endpoints suffer the faults that are set: before the work is done, and after. */
export function misbehave(app: FastifyInstance, sandbox: Sandbox): void {
  const count = new RequestCount();
  const happens = (rate: number): boolean => rate > 0 && sandbox.random() < rate;

  app.addHook('onRequest', async (request, reply) => {
    if (request.url.startsWith(ADMIN_PREFIX)) return;
    const { faults } = sandbox;
    if (faults.outage) return closeConnection(request, reply);
    if (faults.requestsPerSecond > 0 && !count.admits(faults.requestsPerSecond)) {
      return reply.code(429).header('retry-after', '1').type('text/plain').send('Too Many Requests');
    }
  });

  // Once a request has arrived in full it is done, late or not, whether its caller still waits or not.
  app.addHook('preHandler', async (request, reply) => {
    if (request.url.startsWith(ADMIN_PREFIX)) return;
    const { faults } = sandbox;
    const latencyMs = faults.latencyMs + faults.jitterMs * (faults.jitterMs > 0 ? sandbox.random() : 0);
    if (latencyMs > 0) await delay(latencyMs);
    if (happens(faults.closeBeforeRate)) return closeConnection(request, reply);
    if (happens(faults.errorRate)) {
      return reply.code(faults.errorStatus).type('text/html').send('<h1>The site is in trouble</h1>');
    }
  });

  app.addHook('onSend', async (request, _reply, payload) => {
    const isAdmin = request.url.startsWith(ADMIN_PREFIX);
    if (!isAdmin && happens(sandbox.faults.closeRate)) request.raw.socket.destroy();
    return payload;
  });
}
