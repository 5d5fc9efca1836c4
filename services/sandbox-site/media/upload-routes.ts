import { Readable } from 'node:stream';
import type { EntityRef, Json } from '@understudy/domain/entity';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authenticate } from '../auth.ts';
import { Caller } from '../caller.ts';
import type { StoredEntity } from '../entity-table.ts';
import type { Sandbox } from '../sandbox-site.ts';
import { badData, badRequest, SandboxFault } from '../site-fault.ts';
import { WriteTransaction } from '../write-transaction.ts';
import { extensionOf, uploadLink } from './file-links.ts';
import type { ReceivedFile } from './media-store.ts';
import type { ThumbnailField } from './thumbnails.ts';
import { readUploadForm, type UploadForm } from './upload-form.ts';

/** Answers one upload endpoint. @returns what follows the `1`. @throws SandboxFault */
type Endpoint = (sandbox: Sandbox, caller: Caller, form: UploadForm) => Promise<string>;

interface Upload {
  readonly filename: string;
  readonly received: ReceivedFile;
}

const field = (form: UploadForm, name: string): string => {
  const value = form.fields.get(name);
  if (value === undefined) throw badRequest(`missing '${name}'`);
  return value;
};

function entityOf(sandbox: Sandbox, caller: Caller, ref: EntityRef): StoredEntity {
  const entity = sandbox.data.stored(ref);
  if (entity === undefined || entity.retired || !caller.view('upload').sees(entity)) {
    throw badData(`Entity of type [${ref.type}] with id=${ref.id} does not exist.`);
  }
  if (caller.rules.writes !== 'all') throw badData(`not permitted. Rule: ${caller.rules.code}`);
  return entity;
}

const targetOf = (sandbox: Sandbox, caller: Caller, form: UploadForm): StoredEntity =>
  entityOf(sandbox, caller, { type: field(form, 'entity_type'), id: Number(field(form, 'entity_id')) });

/** Does what changes data in one transaction. */
function inTransaction<T>(sandbox: Sandbox, caller: Caller, work: (transaction: WriteTransaction) => T): T {
  const transaction = new WriteTransaction(sandbox, caller);
  try {
    const result = work(transaction);
    transaction.commit();
    return result;
  } catch (error) {
    transaction.rollback();
    throw error;
  }
}

/** The Attachment of an upload. */
function attach(
  sandbox: Sandbox,
  transaction: WriteTransaction,
  entity: StoredEntity,
  upload: Upload,
  displayName: string,
): StoredEntity {
  const project = entity.type === 'Project' ? entity : entity.stored('project');
  const values = new Map<string, Json>([
    ['display_name', displayName],
    ['filename', upload.filename],
    ['file_extension', extensionOf(upload.filename) || null],
    ['file_size', Math.min(upload.received.size, 2 ** 31 - 1)],
    ['project', project as Json],
  ]);
  // Not every type may be linked there, yet a file may be uploaded for any.
  const links = sandbox.data.field('Attachment', 'attachment_links');
  if (links?.validTypes.length === 0 || links?.validTypes.includes(entity.type))
    values.set('attachment_links', [{ type: entity.type, id: entity.id }]);
  return transaction.attach(values, uploadLink(upload.filename));
}

function isThumbnailField(name: string | undefined): boolean {
  return (
    name !== undefined && ['image', 'thumb_image', 'filmstrip_image', 'filmstrip_thumb_image'].includes(name)
  );
}

const thumbnailField = (form: UploadForm): ThumbnailField =>
  form.fields.get('filmstrip') === 'True' ? 'filmstrip_image' : 'image';

async function publishThumbnail(
  sandbox: Sandbox,
  caller: Caller,
  form: UploadForm,
  upload: Upload,
): Promise<string> {
  const entity = targetOf(sandbox, caller, form);
  const name = thumbnailField(form);
  if (sandbox.data.field(entity.type, name)?.dataType !== 'image') {
    throw badRequest(`${entity.type}.${name} doesn't exist.`);
  }
  const { id } = inTransaction(sandbox, caller, (transaction) => {
    const attachment = attach(sandbox, transaction, entity, upload, upload.filename);
    transaction.setThumbnail(entity, name, attachment.id, true);
    return attachment;
  });
  await sandbox.media.keep(upload.received, id);
  sandbox.thumbnails.start(sandbox, caller.actor, entity, name, id);
  return `:${id}\n`;
}

async function attachFile(
  sandbox: Sandbox,
  caller: Caller,
  form: UploadForm,
  upload: Upload,
): Promise<string> {
  const entity = targetOf(sandbox, caller, form);
  const name = form.fields.get('field_name');
  const linked = name === undefined ? null : sandbox.data.field(entity.type, name);
  if (linked !== null && linked?.dataType !== 'url') {
    throw badRequest(`${entity.type}.${name} doesn't exist or takes no file.`);
  }
  const { id } = inTransaction(sandbox, caller, (transaction) => {
    const attachment = attach(
      sandbox,
      transaction,
      entity,
      upload,
      form.fields.get('display_name') ?? upload.filename,
    );
    if (linked !== null) transaction.linkFile(entity, linked, attachment.id);
    return attachment;
  });
  await sandbox.media.keep(upload.received, id);
  return `:${id}\n`;
}

function sentFile(form: UploadForm): Upload {
  if (form.file === null) throw badRequest('missing file');
  return form.file;
}

const signedUpload = (sandbox: Sandbox, id: string, part: number): string =>
  sandbox.url + sandbox.media.sign(`/storage/upload/${id}/${part}`, sandbox.faults.linkLifetimeMs);

function uploadOf(sandbox: Sandbox, form: UploadForm): string {
  const id = field(form, 'upload_id');
  if (!sandbox.media.hasUpload(id)) throw badData(`no upload ${id}`);
  return id;
}

async function shareThumbnail(sandbox: Sandbox, caller: Caller, form: UploadForm): Promise<string> {
  const refOf = (text: string): EntityRef => {
    const [, type = '', id = ''] = /^(.+)_(\d+)$/.exec(text.trim()) ?? [];
    return { type, id: Number(id) };
  };
  const filmstrip = form.fields.get('filmstrip_thumbnail');
  const name: ThumbnailField = filmstrip === '1' || filmstrip === 'True' ? 'filmstrip_image' : 'image';
  const source = entityOf(sandbox, caller, refOf(field(form, 'source_entity')));
  const thumbnail = source.stored(name);
  if (typeof thumbnail !== 'number') throw badData(`${source.type} ${source.id} has no thumbnail`);
  if (sandbox.thumbnails.pending.has(thumbnail)) throw new ThumbnailNotReady();
  const targets = field(form, 'entities')
    .split(',')
    .map((text) => entityOf(sandbox, caller, refOf(text)));
  inTransaction(sandbox, caller, (transaction) => {
    for (const target of targets) transaction.setThumbnail(target, name, thumbnail, false);
  });
  return `:${thumbnail}\n`;
}

/** Told as `2…` (protocol §5.10). */
class ThumbnailNotReady extends Error {
  override readonly name = 'ThumbnailNotReady';
}

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  upload_file: (sandbox, caller, form) =>
    isThumbnailField(form.fields.get('field_name'))
      ? publishThumbnail(sandbox, caller, form, sentFile(form))
      : attachFile(sandbox, caller, form, sentFile(form)),
  publish_thumbnail: (sandbox, caller, form) => publishThumbnail(sandbox, caller, form, sentFile(form)),
  share_thumbnail: shareThumbnail,
  api_get_upload_link_info: async (sandbox, _caller, form) => {
    const type = field(form, 'upload_type');
    const id = sandbox.media.startUpload(field(form, 'filename'));
    const part = form.fields.get('multipart_upload') === 'True' ? 1 : 0;
    return `\n${signedUpload(sandbox, id, part)}\n${new Date().toISOString()}\n${type}\n${id}\n`;
  },
  api_get_upload_link_for_part: async (sandbox, _caller, form) =>
    `\n${signedUpload(sandbox, uploadOf(sandbox, form), Number(field(form, 'part_number')))}\n`,
  api_complete_multipart_upload: async (sandbox, _caller, form) => {
    const etags = field(form, 'etags')
      .split(',')
      .map((etag) => etag.trim().replaceAll('"', ''));
    if (!(await sandbox.media.completeUpload(uploadOf(sandbox, form), etags)))
      throw badData('the parts do not fit');
    return '\n';
  },
  api_link_file: async (sandbox, caller, form) => {
    const [, , , type, id = ''] = field(form, 'upload_link_info').split(/\r?\n/);
    const taken = sandbox.media.takeUpload(id);
    if (taken === undefined) throw badData(`no upload ${id}`);
    const upload = { filename: taken.filename, received: taken.file };
    return type === 'Thumbnail'
      ? publishThumbnail(sandbox, caller, form, upload)
      : attachFile(sandbox, caller, form, upload);
  },
};

async function answer(sandbox: Sandbox, endpoint: Endpoint, request: FastifyRequest): Promise<string> {
  let form: UploadForm | undefined;
  try {
    form = await readUploadForm(request.raw, sandbox.media);
    const auth = Object.fromEntries(form.fields);
    const isRejecting = auth['reject_if_expired'] === 'True';
    const actor = authenticate(sandbox, { ...auth, reject_if_expired: isRejecting });
    return `1${await endpoint(sandbox, new Caller(sandbox, actor), form)}`;
  } catch (error) {
    if (form?.file) await sandbox.media.discard(form.file.received);
    // Failures are told with status 200: a client repeats on any error status (protocol §1.4).
    if (error instanceof ThumbnailNotReady) return '2\nthe thumbnail is not ready\n';
    if (error instanceof SandboxFault) return `0\n${error.message}\n`;
    throw error;
  }
}

/** The upload endpoints and the storage that takes direct uploads (protocol §5.10): bodies go to disk as they come. */
export function uploadRoutes(app: FastifyInstance, sandbox: Sandbox): void {
  app.register(async (files) => {
    files.removeAllContentTypeParsers();
    files.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    for (const [name, endpoint] of Object.entries(ENDPOINTS)) {
      files.post(`/upload/${name}`, async (request, reply) =>
        reply.type('text/plain; charset=utf-8').send(await answer(sandbox, endpoint, request)),
      );
    }
    files.put('/storage/upload/:id/:part', async (request, reply) => {
      const { id, part } = request.params as { id: string; part: string };
      const [path = ''] = request.url.split('?');
      const isGood = sandbox.media.isSigned(path, request.query as Record<string, unknown>);
      if (!isGood || !sandbox.media.hasUpload(id)) return reply.code(403).send('<Error>AccessDenied</Error>');
      const received = await sandbox.media.receive(request.raw ?? Readable.from([]));
      sandbox.media.addPart(id, Number(part), received);
      return reply.header('etag', `"${received.etag}"`).send('');
    });
  });
}
