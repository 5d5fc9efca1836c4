import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { EntityRow } from '@understudy/domain/entity';
import { type Api, call, entitiesOf, type Reply, readOf, send, startApi } from './api-rig.ts';

/** Reads that ask for pictures are answered from the replica, with links that lead to the picture of the moment. */
let api: Api;
let store: Server;
let storeUrl: string;
let folder: string;
/** Pictures by path, as the store of the site has them; its addresses are signed and new each time. */
const pictures = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
let fetched = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-media-'));
  store = createServer((request, reply) => {
    const picture = pictures.get((request.url ?? '').split('?', 1)[0] ?? '');
    fetched += 1;
    if (picture === undefined || !request.url?.includes('Signature=')) return reply.writeHead(403).end();
    reply.writeHead(200, { 'content-type': picture.type }).end(picture.bytes);
  });
  await new Promise<void>((resolve) => store.listen(0, '127.0.0.1', resolve));
  storeUrl = `http://127.0.0.1:${(store.address() as AddressInfo).port}`;
  const path = fileURLToPath(new URL('../schema/default.yaml', import.meta.url));
  const schema = (await readFile(path, 'utf8')).replace('  Shot:\n', '  Shot:\n    image: image\n');
  const file = join(folder, 'schema.yaml');
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
  store?.close();
  await rm(folder, { recursive: true, force: true });
});

let signature = 0;

/** Gives a shot another picture on the site, and lets the replica hear of the shot. */
async function setImage(id: number, address: string | null): Promise<void> {
  const shot = api.sandbox.data.stored({ type: 'Shot', id });
  assert.ok(shot !== undefined);
  signature += 1;
  const signed = address === null ? null : `${address}?Signature=${signature}&Expires=9`;
  api.sandbox.data.set(shot, 'image', signed);
  const fields = [{ field_name: 'description', value: `picture ${signature}` }];
  assert.equal((await call(api.readerUrl, 'update', { type: 'Shot', id, fields })).status, 200);
}

async function putPicture(id: number, name: string, bytes = Buffer.from(`bytes of ${name}`)): Promise<void> {
  pictures.set(`/${name}`, { type: 'image/png', bytes });
  await setImage(id, `${storeUrl}/${name}`);
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
  await setImage(1, null);
  assert.equal(await linkOf(1), null);
  await putPicture(1, 'one.png');
  const link = await linkOf(1);
  assert.ok(link.startsWith(`${api.readerUrl}/understudy/media/Shot/1/image/`), link);
  assert.match(new URL(link).pathname, /\/one\.png$/);
  assert.equal(await linkOf(1), link, 'the same picture has the same link');
});

test('a link gives the picture, from the site once and then from disk', async () => {
  await putPicture(2, 'two.png');
  const link = await linkOf(2);
  const before = fetched;
  const answers = await Promise.all([send(link), send(link), send(link)]);
  for (const answer of answers) {
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, 'bytes of two.png');
    assert.equal(answer.headers['content-type'], 'image/png');
  }
  assert.equal(fetched, before + 1);
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

test('a picture that the site is still making is told as the site tells it', async () => {
  const address = `${api.siteUrl}/images/status/transient/thumbnail_pending.png`;
  await setImage(4, address);
  assert.equal(await linkOf(4), address);
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
  pictures.set('/page.html', { type: 'text/html', bytes: Buffer.from('<script>') });
  await setImage(7, `${storeUrl}/page.html`);
  const answer = await send(await linkOf(7));
  assert.equal(answer.status, 302);
  assert.match(String(answer.headers['location']), /page\.html\?Signature=/);
});

test('a picture that is gone is not found', async () => {
  await putPicture(8, 'eight.png');
  const link = await linkOf(8);
  await setImage(8, null);
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
