import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { openThumbnailCache, type ThumbnailCache } from './thumbnail-cache.ts';

const log = pino({ level: 'silent' });
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-thumbnails-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const bodyOf = (content: string): Readable => Readable.from([Buffer.from(content)]);
async function shown(cache: ThumbnailCache, version: string): Promise<string | null> {
  const kept = await cache.get(version);
  if (kept === null) return null;
  const content = await text(kept.body);
  // Else the connection that it is sent over is out of step with its client from here on.
  assert.equal(kept.bytes, content.length);
  return content;
}

test('a file that was cut short is not shown', async () => {
  const cache = await openThumbnailCache(folder, 1_000, log);
  await cache.put('a', 'image/png', bodyOf('a whole picture'));
  const [file = ''] = await readdir(folder);
  await truncate(join(folder, file), 3);
  assert.equal(await shown(cache, 'a'), null);
  await cache.put('a', 'image/png', bodyOf('a whole picture'));
  assert.equal(await shown(cache, 'a'), 'a whole picture');
});

test('a machine that stopped leaves no empty pictures', async () => {
  const cache = await openThumbnailCache(folder, 1_000, log);
  await cache.put('a', 'image/png', bodyOf('a whole picture'));
  const [file = ''] = await readdir(folder);
  await truncate(join(folder, file), 0);
  assert.equal(await shown(await openThumbnailCache(folder, 1_000, log), 'a'), null);
  await assert.rejects(cache.put('b', 'image/png', Readable.from([])), /empty/);
});

test('a picture that another reader put there again is shown as it is now', async () => {
  const cache = await openThumbnailCache(folder, 1_000, log);
  const other = await openThumbnailCache(folder, 1_000, log);
  await cache.put('a', 'image/png', bodyOf('one'));
  await other.put('a', 'image/png', bodyOf('the same, packed otherwise'));
  assert.equal((await shown(cache, 'a')) ?? 'the same, packed otherwise', 'the same, packed otherwise');
  assert.equal(await shown(other, 'a'), 'the same, packed otherwise');
});

test('readers that share a folder keep within its limit together', async () => {
  const readers = await Promise.all([1, 2, 3].map(() => openThumbnailCache(folder, 10_000, log)));
  const sizeOf = async (): Promise<number> => {
    const files = await readdir(folder);
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  for (let number = 0; number < 60; number += 1) {
    const cache = readers[number % readers.length] as ThumbnailCache;
    await cache.put(`${number}`, 'image/png', bodyOf('x'.repeat(500)));
    assert.ok((await sizeOf()) <= 12_000, `${await sizeOf()} bytes after ${number + 1}`);
  }
  assert.equal(await shown(readers[2] as ThumbnailCache, '59'), 'x'.repeat(500));
});

test('what is not of the cache in its folder is neither counted nor deleted', async () => {
  await mkdir(join(folder, 'lost+found'));
  await writeFile(join(folder, 'notes.txt'), 'x'.repeat(2_000));
  const cache = await openThumbnailCache(folder, 1_000, log);
  await cache.put('a', 'image/png', bodyOf('picture'));
  assert.equal(await shown(cache, 'a'), 'picture');
  assert.equal((await readdir(folder)).length, 3);
});

test('a reader that starts leaves alone what another one is just fetching', async () => {
  const cache = await openThumbnailCache(folder, 1_000, log);
  const body = new Readable({ read() {} });
  body.push('half');
  const put = cache.put('a', 'image/png', body);
  while ((await readdir(folder)).length === 0) await new Promise((resolve) => setImmediate(resolve));
  await openThumbnailCache(folder, 1_000, log);
  body.push(' and half');
  body.push(null);
  await put;
  assert.equal(await shown(cache, 'a'), 'half and half');
  // What a killed one left behind goes.
  const left = join(folder, `${crypto.randomUUID()}.part`);
  await writeFile(left, 'half');
  await utimes(left, new Date(0), new Date(0));
  await openThumbnailCache(folder, 1_000, log);
  assert.equal((await readdir(folder)).length, 1);
});
