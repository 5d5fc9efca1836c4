import { isEntityRef } from '@understudy/domain/entity';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { callerAs } from '../caller.ts';
import type { Sandbox } from '../sandbox-site.ts';
import { sessionOf } from '../web-session.ts';
import { contentTypeOf } from './file-links.ts';
import { linkOf, PENDING_IMAGE } from './media-values.ts';

/** One grey pixel. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==',
  'base64',
);

/** Serves what a signed address leads to (protocol §3.5). */
async function serveSigned(
  sandbox: Sandbox,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const [path = ''] = request.url.split('?');
  const id = Number((request.params as { id: string }).id);
  if (!sandbox.media.isSigned(path, request.query as Record<string, unknown>)) {
    return reply
      .code(403)
      .type('application/xml')
      .send('<Error><Message>Request has expired</Message></Error>');
  }
  const size = await sandbox.media.sizeOf(id);
  if (size === null)
    return reply.code(404).type('application/xml').send('<Error><Message>NoSuchKey</Message></Error>');
  const attachment = sandbox.data.find({ type: 'Attachment', id });
  const name = String(attachment?.stored('filename') ?? 'file');
  return reply
    .type(contentTypeOf(name))
    .header('content-length', size)
    .header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(name)}`)
    .send(sandbox.media.content(id));
}

/**
 * Whether a request for a file comes from somebody who may have it. The official client never sends its cookie to a host
 * with an explicit port (protocol §5.10); there, one without any is let in unless a fault says otherwise.
 */
function mayHave(sandbox: Sandbox, request: FastifyRequest, attachmentId: number): boolean {
  const { cookie, host } = request.headers;
  const user = sessionOf(sandbox.sessions, cookie);
  if (user === undefined) {
    const hasCookie = cookie?.includes('_session_id=') === true;
    return !hasCookie && /:\d+$/.test(host ?? '') && !sandbox.faults.requireCookie;
  }
  const attachment = sandbox.data.find({ type: 'Attachment', id: attachmentId });
  return attachment === undefined || callerAs(sandbox, user).view('file_serve').sees(attachment);
}

function serveAttachment(sandbox: Sandbox, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const id = Number((request.params as { id: string }).id);
  const attachment = sandbox.data.find({ type: 'Attachment', id });
  const link = attachment === undefined || attachment.retired ? null : linkOf(attachment);
  if (!mayHave(sandbox, request, id)) return reply.code(403).send('You do not have permission to this file.');
  if (link === null || link.link_type === 'local') return reply.code(400).send(`No such attachment: ${id}`);
  if (sandbox.faults.scanning.includes(id)) {
    return reply.code(409).send('This file is undergoing a malware scan, please try again in a few minutes');
  }
  if (sandbox.faults.quarantined.includes(id)) {
    return reply.code(410).send('File scanning has detected malware and the file has been quarantined');
  }
  const { linkLifetimeMs } = sandbox.faults;
  const address =
    link.link_type === 'web'
      ? String(link.url)
      : sandbox.url + sandbox.media.sign(`/storage/attachment/${id}`, linkLifetimeMs);
  return reply.redirect(address, 302);
}

/** What old clients ask for the address of a thumbnail (protocol §5.10). */
function thumbnailAddress(sandbox: Sandbox, request: FastifyRequest): string {
  const { entity_type: type, entity_id: id } = request.query as Record<string, string>;
  const ref = { type, id: Number(id) };
  const image = isEntityRef(ref) ? sandbox.data.find(ref)?.stored('image') : null;
  if (typeof image !== 'number') return '0\nno thumbnail\n';
  if (sandbox.thumbnails.pending.has(image)) return `1\n${PENDING_IMAGE}\n`;
  return `1\n${sandbox.media.sign(`/storage/thumbnail/${image}`, sandbox.faults.linkLifetimeMs)}\n`;
}

/** Files and images of the site, and the storage that signed addresses lead to. */
export function fileRoutes(app: FastifyInstance, sandbox: Sandbox): void {
  app.get('/file_serve/attachment/:id', async (request, reply) => serveAttachment(sandbox, request, reply));
  app.get('/storage/attachment/:id', (request, reply) => serveSigned(sandbox, request, reply));
  app.get('/storage/thumbnail/:id', (request, reply) => serveSigned(sandbox, request, reply));
  app.get('/upload/get_thumbnail_url', async (request, reply) =>
    reply.type('text/plain').send(thumbnailAddress(sandbox, request)),
  );
  app.get('/images/status/transient/*', async (_request, reply) => reply.type('image/png').send(PIXEL));
}
