import { SiteAnswerLost, SiteUnavailable } from '@understudy/site-client/faults';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { siteAway } from './errors.ts';
import type { Upstream, UpstreamReply } from './upstream.ts';

/** Where files are, from the root of the host, and the REST API, which is passed on as it is (protocol §5.10, §7). */
const PASSED_ON = ['/upload/*', '/file_serve/*', '/thumbnail/*', '/files/*', '/images/*', '/api/*'];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);
const SERVER_ERROR = 500;

/** What the upload endpoints say on failure (protocol §5.10): the client repeats on any HTTP error (§1.4). */
const uploadFailure = (why: string): string => `0\n${why}\n`;

/**
 * Files in both directions, streamed: nothing is kept in memory or looked into, nor sent twice, cookies go along.
 * A failed upload is told with status 200 and `0…`, since the client sends it again on any error status.
 */
export function media(app: FastifyInstance, upstream: Upstream): void {
  app.register(async (files) => {
    files.removeAllContentTypeParsers();
    files.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    for (const url of PASSED_ON) {
      files.route({
        method: [...METHODS],
        url,
        handler: (request, reply) => passOn(upstream, request, reply, url === '/upload/*'),
      });
    }
  });
}

async function passOn(
  upstream: Upstream,
  request: FastifyRequest,
  reply: FastifyReply,
  isUpload: boolean,
): Promise<FastifyReply> {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const isWrite = !SAFE_METHODS.has(request.method);
  const failUpload = (why: string): FastifyReply => reply.type('text/plain').send(uploadFailure(why));
  reply.header('x-understudy', 'site; reason=media');
  let answer: UpstreamReply;
  try {
    answer = await upstream.send({
      method: request.method,
      path: request.url,
      headers: request.headers,
      body: SAFE_METHODS.has(request.method) || request.body === undefined ? null : request.raw,
      requestId: request.id,
      isWrite,
      isBudgeted: false,
      signal: gone.signal,
    });
  } catch (error) {
    if (isUpload && isWrite && error instanceof SiteAnswerLost)
      return failUpload('Understudy: the answer of the site was lost, the upload may have been done');
    if (isUpload && isWrite && error instanceof SiteUnavailable)
      return failUpload('Understudy: the site cannot be reached, nothing was uploaded');
    if (error instanceof SiteAnswerLost || error instanceof SiteUnavailable) throw siteAway('files');
    throw error;
  }
  if (isUpload && isWrite && answer.statusCode >= SERVER_ERROR) {
    answer.body.destroy();
    return failUpload(`Understudy: the site failed with HTTP ${answer.statusCode}`);
  }
  return reply.code(answer.statusCode).headers(answer.headers).send(answer.body);
}
