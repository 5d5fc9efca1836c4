import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { Busboy, type BusboyHeaders } from '@fastify/busboy';
import type { MediaStore, ReceivedFile } from './media-store.ts';

/** A form of the upload endpoints (protocol §5.10): fields as text, and at most one file. */
export interface UploadForm {
  readonly fields: ReadonlyMap<string, string>;
  readonly file: { readonly filename: string; readonly received: ReceivedFile } | null;
}

const FIELD_BYTES_MAX = 1_000_000;

/** @throws Error for a form that cannot be read. */
export async function readUploadForm(request: IncomingMessage, store: MediaStore): Promise<UploadForm> {
  const type = request.headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data')) {
    return { fields: new Map(new URLSearchParams(await text(request))), file: null };
  }
  const fields = new Map<string, string>();
  let receiving: Promise<UploadForm['file']> = Promise.resolve(null);
  await new Promise<void>((resolve, reject) => {
    const busboy = new Busboy({
      headers: request.headers as BusboyHeaders,
      limits: { files: 1, fieldSize: FIELD_BYTES_MAX },
    });
    busboy.on('field', (name, value) => fields.set(name, value));
    busboy.on('file', (_name, stream, filename) => {
      receiving = store.receive(stream).then((received) => ({ filename, received }));
      receiving.catch(reject);
    });
    busboy.on('finish', resolve);
    busboy.on('error', reject);
    request.on('error', reject);
    request.on('aborted', () => reject(new Error('the upload was cut short')));
    request.pipe(busboy);
  });
  return { fields, file: await receiving };
}
