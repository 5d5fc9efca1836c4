import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Logger } from '@understudy/runtime/logging';

/** A picture on disk. */
export interface Thumbnail {
  readonly contentType: string;
  readonly bytes: number;
  readonly body: Readable;
}

/** Pictures kept in a folder, those used longest ago given up first. */
export interface ThumbnailCache {
  /** @returns null for one that is not kept. Whoever gets one reads its body or destroys it. */
  get(version: string): Promise<Thumbnail | null>;
  /** Keeps a picture; what breaks off or is too large is not kept. @throws what the body throws. */
  put(version: string, contentType: string, body: Readable): Promise<void>;
}

/** Larger files are no thumbnails. */
export const THUMBNAIL_BYTES_MAX = 10_000_000;
/** Names of the files; whatever else is in the folder is somebody else's. */
const KEPT = /^[0-9a-f]{64}~[\w-]+$/;
const PART = /^[0-9a-f-]{36}\.part$/;
/** A part that nobody has written to for so long was left behind by a process that was killed. */
const PART_LEFT_MS = 3_600_000;
/** Share of the limit after which a reader looks what other ones have put into the folder since. */
const LOOKS = 16;

interface Entry {
  readonly file: string;
  readonly contentType: string;
  readonly bytes: number;
}

/**
 * Opens the folder. Several readers may share it: what another one gave up is simply not there.
 * @param bytesMax of all files together.
 */
export async function openThumbnailCache(
  folder: string,
  bytesMax: number,
  log: Logger,
): Promise<ThumbnailCache> {
  await mkdir(folder, { recursive: true });
  /** In the order of their last use. */
  const known = new Map<string, Entry>();
  let total = 0;
  let putSinceLook = 0;

  const fileName = (version: string, contentType: string): string =>
    `${createHash('sha256').update(version).digest('hex')}~${Buffer.from(contentType).toString('base64url')}`;
  const hashOf = (file: string): string => file.split('~', 1)[0] ?? '';

  const forget = (hash: string): void => {
    total -= known.get(hash)?.bytes ?? 0;
    known.delete(hash);
  };
  const remember = (hash: string, entry: Entry): void => {
    forget(hash);
    known.set(hash, entry);
    total += entry.bytes;
  };
  const shrink = async (): Promise<void> => {
    for (const [hash, { file }] of known) {
      if (total <= bytesMax) return;
      forget(hash);
      await rm(join(folder, file), { force: true });
    }
  };

  const filesNow = async (): Promise<readonly { readonly file: string; bytes: number; usedAt: number }[]> => {
    const names = (await readdir(folder)).filter((file) => KEPT.test(file) || PART.test(file));
    const files = names.map(async (file) => {
      const found = await stat(join(folder, file)).catch(() => null);
      // Another reader may have given it up just now.
      return found === null ? [] : [{ file, bytes: found.size, usedAt: found.mtimeMs }];
    });
    return (await Promise.all(files)).flat().toSorted((a, b) => a.usedAt - b.usedAt);
  };

  /** Takes the folder as it is: other readers keep pictures there, use them, and give them up. */
  const look = async (): Promise<void> => {
    putSinceLook = 0;
    const before = new Set(known.keys());
    const found = await filesNow();
    const putMeanwhile = [...known].filter(([hash]) => !before.has(hash));
    known.clear();
    total = 0;
    for (const { file, bytes, usedAt } of found) {
      const isLeft = PART.test(file) ? Date.now() - usedAt > PART_LEFT_MS : bytes === 0;
      if (isLeft) await rm(join(folder, file), { force: true });
      else if (KEPT.test(file)) {
        const contentType = Buffer.from(file.split('~')[1] ?? '', 'base64url').toString('utf8');
        remember(hashOf(file), { file, contentType, bytes });
      }
    }
    for (const [hash, entry] of putMeanwhile) remember(hash, entry);
  };

  await look();
  await shrink();

  return {
    get: async (version) => {
      const hash = createHash('sha256').update(version).digest('hex');
      const entry = known.get(hash);
      if (entry === undefined) return null;
      const path = join(folder, entry.file);
      let handle: FileHandle | null = null;
      try {
        handle = await open(path);
        const { size } = await handle.stat();
        // Cut short, or put there again by another reader: whoever asks for it fetches it.
        if (size !== entry.bytes) throw new Error(`${size} bytes instead of ${entry.bytes}`);
        remember(hash, entry);
        await utimes(path, new Date(), new Date());
        return { contentType: entry.contentType, bytes: entry.bytes, body: handle.createReadStream() };
      } catch (error) {
        await handle?.close();
        log.debug({ err: error }, 'a thumbnail is gone from the folder');
        forget(hash);
        return null;
      }
    },
    put: async (version, contentType, body) => {
      const file = fileName(version, contentType);
      const part = join(folder, `${randomUUID()}.part`);
      let bytes = 0;
      try {
        await pipeline(
          body,
          async function* (chunks: AsyncIterable<Buffer>) {
            for await (const chunk of chunks) {
              bytes += chunk.length;
              if (bytes > THUMBNAIL_BYTES_MAX) throw new Error('too large for a thumbnail');
              yield chunk;
            }
          },
          // Else a machine that stops may leave the name of a file without its bytes.
          createWriteStream(part, { flags: 'wx', flush: true }),
        );
        if (bytes === 0) throw new Error('an empty thumbnail');
        await rename(part, join(folder, file));
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
      remember(hashOf(file), { file, contentType, bytes });
      putSinceLook += bytes;
      if (putSinceLook > bytesMax / LOOKS) await look();
      await shrink();
    },
  };
}
