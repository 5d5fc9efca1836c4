import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
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
const PART = '.part';

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

  const found = await Promise.all(
    (await readdir(folder)).map(async (file) => {
      const { size, mtimeMs } = await stat(join(folder, file));
      return { file, bytes: size, usedAt: mtimeMs };
    }),
  );
  for (const { file, bytes } of found.toSorted((a, b) => a.usedAt - b.usedAt)) {
    if (file.endsWith(PART)) await rm(join(folder, file), { force: true });
    else {
      const contentType = Buffer.from(file.split('~')[1] ?? '', 'base64url').toString('utf8');
      remember(hashOf(file), { file, contentType, bytes });
    }
  }
  await shrink();

  return {
    get: async (version) => {
      const hash = createHash('sha256').update(version).digest('hex');
      const entry = known.get(hash);
      if (entry === undefined) return null;
      const path = join(folder, entry.file);
      try {
        const handle = await open(path);
        remember(hash, entry);
        await utimes(path, new Date(), new Date());
        return { contentType: entry.contentType, bytes: entry.bytes, body: handle.createReadStream() };
      } catch (error) {
        log.debug({ err: error }, 'a thumbnail is gone from the folder');
        forget(hash);
        return null;
      }
    },
    put: async (version, contentType, body) => {
      const file = fileName(version, contentType);
      const part = join(folder, `${randomUUID()}${PART}`);
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
          createWriteStream(part, { flags: 'wx' }),
        );
        await rename(part, join(folder, file));
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
      remember(hashOf(file), { file, contentType, bytes });
      await shrink();
    },
  };
}
