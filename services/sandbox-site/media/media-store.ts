import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A file that arrived and belongs to nothing yet. */
export interface ReceivedFile {
  readonly path: string;
  readonly size: number;
  /** Hash of its content, as an ETag without quotes. */
  readonly etag: string;
}

/** A direct upload under way: its parts by number, or 0 for all at once (protocol §5.10). */
interface DirectUpload {
  readonly filename: string;
  readonly parts: Map<number, ReceivedFile>;
}

/**
 * The files of the site's attachments, on disk: nothing is held in memory. Without a folder of its own it uses a temporary
 * one that goes with it.
 */
export class MediaStore {
  readonly #folder: string;
  readonly #isTemporary: boolean;
  readonly #secret = randomBytes(32);
  readonly #uploads = new Map<string, DirectUpload>();
  #received = 0;

  private constructor(folder: string, isTemporary: boolean) {
    this.#folder = folder;
    this.#isTemporary = isTemporary;
  }

  static async open(folder: string | null): Promise<MediaStore> {
    if (folder === null) return new MediaStore(await mkdtemp(join(tmpdir(), 'sandbox-media-')), true);
    await mkdir(folder, { recursive: true });
    return new MediaStore(folder, false);
  }

  /** Takes a file in, as fast as the disk lets it. */
  async receive(content: Readable): Promise<ReceivedFile> {
    this.#received += 1;
    const path = join(this.#folder, `received-${process.pid}-${this.#received}`);
    const hash = createHash('md5');
    let size = 0;
    content.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      size += chunk.length;
    });
    await pipeline(content, createWriteStream(path));
    return { path, size, etag: hash.digest('hex') };
  }

  async discard(file: ReceivedFile): Promise<void> {
    await rm(file.path, { force: true });
  }

  /** Makes a received file that of an attachment. */
  async keep(file: ReceivedFile, attachmentId: number): Promise<void> {
    await rename(file.path, this.#pathOf(attachmentId));
  }

  /** Size of an attachment's file in bytes, or null where there is none. */
  async sizeOf(attachmentId: number): Promise<number | null> {
    try {
      return (await stat(this.#pathOf(attachmentId))).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return null;
    }
  }

  content(attachmentId: number): Readable {
    return createReadStream(this.#pathOf(attachmentId));
  }

  startUpload(filename: string): string {
    const id = randomBytes(16).toString('hex');
    this.#uploads.set(id, { filename, parts: new Map() });
    return id;
  }

  hasUpload(id: string): boolean {
    return this.#uploads.has(id);
  }

  addPart(id: string, part: number, file: ReceivedFile): void {
    this.#uploads.get(id)?.parts.set(part, file);
  }

  /**
   * Puts the parts together.
   * @returns false where the tags are not those of the parts, in order.
   */
  async completeUpload(id: string, etags: readonly string[]): Promise<boolean> {
    const upload = this.#uploads.get(id);
    const parts = [...(upload?.parts ?? [])].filter(([part]) => part > 0).sort(([a], [b]) => a - b);
    const isRight = parts.length > 0 && parts.length === etags.length;
    if (upload === undefined || !isRight || parts.some(([, file], index) => file.etag !== etags[index]))
      return false;
    const whole = await this.receive(concatenated(parts.map(([, file]) => file)));
    for (const [, file] of parts) await this.discard(file);
    upload.parts.clear();
    upload.parts.set(0, whole);
    return true;
  }

  /** The file of a completed upload, and what it was called; it is given once. */
  takeUpload(id: string): { readonly filename: string; readonly file: ReceivedFile } | undefined {
    const upload = this.#uploads.get(id);
    const file = upload?.parts.get(0);
    if (upload === undefined || file === undefined) return undefined;
    this.#uploads.delete(id);
    return { filename: upload.filename, file };
  }

  /** A path with an expiry and a signature; no two are alike. */
  sign(path: string, lifetimeMs: number): string {
    const query = `expires=${Date.now() + lifetimeMs}&nonce=${randomBytes(6).toString('hex')}`;
    return `${path}?${query}&signature=${this.#signature(`${path}?${query}`)}`;
  }

  /** @returns whether a path with its query was signed here and has not expired. */
  isSigned(path: string, query: Readonly<Record<string, unknown>>): boolean {
    const { expires, nonce, signature } = query;
    const expected = Buffer.from(
      this.#signature(`${path}?expires=${String(expires)}&nonce=${String(nonce)}`),
    );
    const given = Buffer.from(String(signature));
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return false;
    return Number(expires) > Date.now();
  }

  async close(): Promise<void> {
    if (this.#isTemporary) await rm(this.#folder, { recursive: true, force: true });
  }

  #signature(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('hex');
  }

  #pathOf(attachmentId: number): string {
    return join(this.#folder, `attachment-${attachmentId}`);
  }
}

/** The contents of files one after another, each opened when its turn comes. */
function concatenated(files: readonly ReceivedFile[]): Readable {
  async function* contents(): AsyncGenerator<Buffer> {
    for (const file of files) yield* createReadStream(file.path) as AsyncIterable<Buffer>;
  }
  return Readable.from(contents(), { objectMode: false });
}
