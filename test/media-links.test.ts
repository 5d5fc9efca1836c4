import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { EntityRow } from '@understudy/domain/entity';
import { until } from '@understudy/harness/until';
import { type Api, call, entitiesOf, type Reply, readOf, SCRIPT, send, startApi } from './api-rig.ts';

/** Reads that ask for pictures are answered from the replica, with links that lead to the picture of the moment. */
let api: Api;
let folder: string;
/** Of the schema; nothing can be a folder in it. */
let file: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-media-'));
  const path = fileURLToPath(new URL('../schema/default.yaml', import.meta.url));
  const schema = (await readFile(path, 'utf8')).replace('  Shot:\n', '  Shot:\n    image: image\n');
  file = join(folder, 'schema.yaml');
  await writeFile(file, schema);
  api = await startApi({
    env: {
      UNDERSTUDY_SCHEMA_FILE: file,
      UNDERSTUDY_READER_MEDIA_FOLDER: join(folder, 'thumbnails'),
      UNDERSTUDY_READER_MEDIA_BYTES: '100000',
    },
  });
});
after(async () => {
  await api?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Any write on it lets the replica hear of a shot: nobody follows the event log here. */
async function touch(id: number): Promise<void> {
  const fields = [{ field_name: 'description', value: randomUUID() }];
  const reply = await call(api.readerUrl, 'update', { type: 'Shot', id, fields });
  assert.equal(reply.json.exception, undefined, reply.json.message);
}

async function clearPicture(id: number): Promise<void> {
  const fields = [{ field_name: 'image', value: null }];
  await call(api.readerUrl, 'update', { type: 'Shot', id, fields });
}

/** Uploads a picture as the official client does, through the reader. */
async function upload(
  id: number,
  name: string,
  bytes: string | Buffer<ArrayBuffer> = `bytes of ${name}`,
): Promise<void> {
  const form = new FormData();
  const fields = { ...SCRIPT, entity_type: 'Shot', entity_id: String(id) };
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  form.append('thumb_image', new Blob([bytes]), name);
  const reply = await fetch(`${api.readerUrl}/upload/publish_thumbnail`, { method: 'POST', body: form });
  assert.match(await reply.text(), /^1/);
}

/** A picture that the site has finished. */
async function putPicture(id: number, name: string, bytes?: Buffer<ArrayBuffer>): Promise<void> {
  api.sandbox.faults = { ...api.sandbox.faults, thumbnailMs: 0 };
  await upload(id, name, bytes);
  await until('the site has made the picture', async () => {
    await touch(id);
    return !(await linkOf(id)).includes('/transient/');
  });
}

const readImage = (id: number): Promise<Reply> =>
  call(api.readerUrl, 'read', readOf('Shot', ['code', 'image'], [['id', 'is', id]]));
async function linkOf(id: number): Promise<string> {
  const reply = await readImage(id);
  assert.equal(reply.headers['x-understudy'], 'replica');
  const [row] = entitiesOf(reply) as readonly (EntityRow & { readonly image: string })[];
  assert.ok(row !== undefined);
  return row.image;
}

test('a shot without a picture has none, and one with a picture has a link', async () => {
  assert.equal(await linkOf(1), null);
  await putPicture(1, 'one.png');
  const link = await linkOf(1);
  assert.ok(link.startsWith(`${api.readerUrl}/understudy/media/Shot/1/image/`), link);
  assert.equal(await linkOf(1), link, 'the same picture has the same link');
});

test('a link gives the picture, from the site once and then from disk', async () => {
  await putPicture(2, 'two.png');
  const link = await linkOf(2);
  const answers = await Promise.all([send(link), send(link), send(link)]);
  for (const answer of answers) {
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, 'bytes of two.png');
    assert.equal(answer.headers['content-type'], 'image/png');
  }
  api.sandbox.faults = { ...api.sandbox.faults, outage: true };
  const offline = await send(link);
  api.sandbox.faults = { ...api.sandbox.faults, outage: false };
  assert.equal(offline.text, 'bytes of two.png');
  assert.equal(offline.headers['x-understudy'], 'replica; reason=thumbnail');
});

test('a new picture has a new link, and the old one is never shown for it', async () => {
  await putPicture(3, 'old.png');
  const old = await linkOf(3);
  assert.equal((await send(old)).text, 'bytes of old.png');
  await putPicture(3, 'new.png');
  const link = await linkOf(3);
  assert.notEqual(link, old);
  assert.equal((await send(link)).text, 'bytes of new.png');
});

test('an upload is seen by the next read: while the site makes the picture, its own address is told', async () => {
  api.sandbox.faults = { ...api.sandbox.faults, thumbnailMs: 600_000 };
  await upload(4, 'slow.png');
  assert.equal(await linkOf(4), `${api.siteUrl}/images/status/transient/thumbnail_pending.png`);
  await putPicture(4, 'ready.png');
  assert.equal((await send(await linkOf(4))).text, 'bytes of ready.png');
});

test('dotted fields lead to the picture of the linked entity', async () => {
  await putPicture(5, 'five.png');
  const read = readOf('Task', ['entity.Shot.image'], [['entity', 'is', { type: 'Shot', id: 5 }]]);
  const reply = await call(api.readerUrl, 'read', read);
  assert.equal(reply.headers['x-understudy'], 'replica');
  const rows = entitiesOf(reply);
  assert.ok(rows.length > 0, 'shot 5 has a task');
  for (const row of rows)
    assert.equal((await send(String(row['entity.Shot.image']))).text, 'bytes of five.png');
});

test('links are unguessable: whatever is changed, nothing is given', async () => {
  await putPicture(6, 'six.png');
  const link = await linkOf(6);
  for (const changed of [
    link.replace('/Shot/6/', '/Shot/1/'),
    link.replace('/image/', '/code/'),
    link.replace(/until=(\d+)/, 'until=99999'),
    link.replace(/key=.*/, 'key='),
    link.replace(/key=.*/, ''),
    link.replace('/Shot/', '/HumanUser/'),
    `${link}&key=x`,
    `${api.readerUrl}/understudy/media/__proto__/1/image/x/y?until=99999&key=x`,
    `${api.readerUrl}/understudy/media/Shot/..%2F..%2Fetc/image/x/y?until=1&key=x`,
  ]) {
    const answer = await send(changed);
    assert.equal(answer.status, 403, changed);
    assert.doesNotMatch(answer.text, /bytes of/);
  }
});

test('what is no picture is not kept: the link leads to the site’s own address', async () => {
  await putPicture(7, 'page.html');
  const answer = await send(await linkOf(7));
  assert.equal(answer.status, 302);
  assert.match(String(answer.headers['location']), /signature=/);
});

test('a picture that is gone is not found', async () => {
  await putPicture(8, 'eight.png');
  const link = await linkOf(8);
  await clearPicture(8);
  assert.equal((await send(link)).status, 404);
});

test('the folder stays within its limit', async () => {
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
    await putPicture(9, `big_${name}.png`, Buffer.alloc(30_000, name));
    assert.equal((await send(await linkOf(9))).text.length, 30_000);
  }
  const files = await readdir(join(folder, 'thumbnails'));
  assert.ok(files.length <= 4, files.join(' '));
});

test('numbers in an answer with pictures keep their form', async () => {
  const fields = ['code', 'image', 'cut_in', 'sg_sequence', 'created_at', 'project', 'assets'];
  const [ours, theirs] = await Promise.all([
    call(api.readerUrl, 'read', readOf('Shot', fields)),
    call(api.siteUrl, 'read', readOf('Shot', fields)),
  ]);
  const bare = (reply: Reply): unknown => entitiesOf(reply).map(({ image: _image, ...row }) => row);
  assert.deepEqual(bare(ours), bare(theirs));
});

test('clients that ask for numbers, or through a proxy’s request, are answered by the site', async () => {
  const { api_return_image_urls: _flag, ...read } = readOf('Shot', ['image']) as Record<string, unknown>;
  assert.equal(
    (await call(api.readerUrl, 'read', read)).headers['x-understudy'],
    'site; reason=image-numbers',
  );
});

test('a folder that cannot be used costs nothing but the pictures in it', async () => {
  const other = await startApi({
    env: { UNDERSTUDY_SCHEMA_FILE: file, UNDERSTUDY_READER_MEDIA_FOLDER: join(file, 'thumbnails') },
  });
  try {
    const read = readOf('Shot', ['image'], [['image', 'is_not', null]]);
    const reply = await call(other.readerUrl, 'read', read);
    assert.equal(reply.status, 200);
    assert.ok(other.logged.some((line) => line.includes('folder of thumbnails cannot be used')));
  } finally {
    await other.stop();
  }
});
