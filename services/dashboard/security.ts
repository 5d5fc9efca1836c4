import type { FastifyInstance } from 'fastify';

const FORBIDDEN = 403;

/**
 * What the queue pages may load: their own files. They name a font elsewhere, which is refused at once: nothing here may
 * depend on the internet.
 */
const BOARD_POLICY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** Whether a request that changes something came from a page of this very address, or from no browser at all. */
function isOwnOrigin(origin: string | undefined, host: string): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

/**
 * Headers on every answer, and the refusal of what other sites' pages send. Unless a password is set (`login`), who may reach
 * the address may look and retry jobs, which is why it is the loopback interface by default. A proxy in front must keep `Host`.
 */
export function guard(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'content-security-policy': BOARD_POLICY,
    });
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (!reads && !isOwnOrigin(request.headers.origin, request.host))
      return reply.code(FORBIDDEN).send({ error: 'requests from other pages are refused' });
  });
}
