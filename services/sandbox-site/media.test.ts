import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { until } from '@understudy/harness/until';
import { type Row, SCRIPT, startTestSite } from './test-site.ts';

const site = await startTestSite();
await site.admin('/faults', { thumbnailMs: 60_000 });
const bytes = randomBytes(200_000);

async function upload(
  endpoint: string,
  fields: object,
  file?: { field: string; name: string },
): Promise<string> {
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...SCRIPT, ...fields })) form.append(name, String(value));
  if (file !== undefined) form.append(file.field, new Blob([bytes]), file.name);
  const reply = await fetch(`${site.url}/upload/${endpoint}`, { method: 'POST', body: form });
  assert.equal(reply.status, 200);
  return reply.text();
}
const idOf = (reply: string): number => Number(/^1:(\d+)\n/.exec(reply)?.[1]);
const target = async (type: string): Promise<{ entity_type: string; entity_id: number; row: Row }> => {
  const row = await site.first(type, []);
  return { entity_type: type, entity_id: row.id, row };
};
async function download(url: string, headers: Record<string, string> = {}): Promise<Buffer> {
  const reply = await fetch(url, { headers });
  assert.equal(reply.status, 200, await reply.clone().text());
  return Buffer.from(await reply.arrayBuffer());
}

test('an uploaded file is an Attachment, linked where it was meant, behind a link signed anew for each read', async () => {
  const version = await target('Version');
  const from = await site.lastEventId();
  const fields = { entity_type: 'Version', entity_id: version.entity_id, field_name: 'sg_uploaded_movie' };
  const id = idOf(
    await upload('upload_file', { ...fields, display_name: 'Movie' }, { field: 'file', name: 'é.mov' }),
  );
  const read = async (): Promise<Row> =>
    (await site.first('Version', [['id', 'is', version.entity_id]], ['sg_uploaded_movie'])).sg_uploaded_movie;
  const first = await read();
  const second = await read();
  assert.equal(first.id, id);
  assert.equal(first['link_type'], 'upload');
  assert.equal(first['content_type'], 'video/quicktime');
  assert.notEqual(first['url'], second['url']);
  assert.deepEqual(await download(first['url']), bytes);
  const attachment = await site.first(
    'Attachment',
    [['id', 'is', id]],
    ['display_name', 'file_size', 'this_file', 'attachment_links'],
  );
  assert.equal(attachment.display_name, 'Movie');
  assert.equal(attachment.file_size, bytes.length);
  assert.equal(attachment.this_file.id, id);
  assert.equal(attachment.attachment_links[0].id, version.entity_id);
  const events = (await site.events(from)).map((event) => `${event.event_type} ${event.attribute_name}`);
  assert.ok(events.includes('Shotgun_Attachment_New null'));
  assert.ok(events.includes('Shotgun_Version_Change sg_uploaded_movie'));
  await site.admin('/faults', { linkLifetimeMs: 0 });
  assert.equal((await fetch((await read())['url'])).status, 403);
  await site.admin('/faults', { linkLifetimeMs: 900_000 });
});

test('file_serve gives a signed address to a session', async () => {
  const version = await target('Version');
  const id = idOf(
    await upload(
      'upload_file',
      { entity_type: 'Version', entity_id: version.entity_id, display_name: 'x' },
      { field: 'file', name: 'x.txt' },
    ),
  );
  const { session_id: token } = await site.call('get_session_token');
  const address = `${site.url}/file_serve/attachment/${id}`;
  const status = async (headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(address, { headers, redirect: 'manual' })).status;
  assert.deepEqual(await download(address, { cookie: `_session_id=${token}` }), bytes);
  assert.equal(await status({ cookie: `_session_id=${token}` }), 302);
  assert.equal(await status({ cookie: '_session_id=wrong' }), 403);
  assert.equal(await status(), 302);
  await site.admin('/faults', { requireCookie: true, scanning: [id] });
  assert.equal(await status(), 403);
  assert.equal(await status({ cookie: `_session_id=${token}` }), 409);
  await site.admin('/faults', { requireCookie: false, scanning: [], quarantined: [id] });
  assert.equal(await status(), 410);
  assert.equal((await fetch(`${site.url}/file_serve/attachment/999999`)).status, 400);
});

test('a thumbnail is pending until it is ready; two events tell of it', async () => {
  const { entity_type, entity_id } = await target('Shot');
  const from = await site.lastEventId();
  const image = async (more: object = {}): Promise<unknown> =>
    (await site.find('Shot', [['id', 'is', entity_id]], ['image'], more))[0]?.image;
  const id = idOf(
    await upload('publish_thumbnail', { entity_type, entity_id }, { field: 'thumb_image', name: 'a.jpg' }),
  );
  assert.match(String(await image()), /\/images\/status\/transient\/thumbnail_pending.png$/);
  assert.equal((await fetch(String(await image()))).status, 200);
  assert.equal(await image({ api_return_image_urls: false }), id);
  const share = {
    entities: 'Asset_1,Asset_2',
    source_entity: `Shot_${entity_id}`,
    filmstrip_thumbnail: 'False',
  };
  assert.match(await upload('share_thumbnail', share), /^2/);
  await site.admin('/faults', { thumbnailMs: 1 });
  const newer = idOf(
    await upload('publish_thumbnail', { entity_type, entity_id }, { field: 'thumb_image', name: 'b.jpg' }),
  );
  await until('the thumbnail is ready', async () => !String(await image()).includes('transient'));
  assert.deepEqual(await download(String(await image())), bytes);
  const events = (await site.events(from)).filter((event) => event.attribute_name === 'image');
  assert.deepEqual(
    events.map(({ meta }) => [meta.field_data_type, meta.old_value, meta.new_value, meta.is_transient]),
    [
      ['image', null, id, true],
      ['image', id, newer, true],
      ['image', null, newer, false],
    ],
  );
  assert.equal(idOf(await upload('share_thumbnail', share)), newer);
  const asset = await site.find('Asset', [['id', 'in', 1, 2]], ['image'], { api_return_image_urls: false });
  assert.deepEqual(
    asset.map((row) => row.image),
    [newer, newer],
  );
  await site.update('Shot', entity_id, { image: null });
  assert.equal(await image(), null);
  await assert.rejects(site.update('Shot', entity_id, { image: 'x' }), /not legal/);
});

test('a file goes straight to the storage, whole or in parts', async () => {
  await site.admin('/faults', { directUploads: true });
  assert.equal((await site.call('info', undefined, null)).s3_direct_uploads_enabled, true);
  const { entity_type, entity_id } = await target('Version');
  const info = async (multipart: string): Promise<{ text: string; lines: string[] }> => {
    const text = await upload('api_get_upload_link_info', {
      upload_type: 'Attachment',
      filename: 'f.bin',
      multipart_upload: multipart,
    });
    return { text, lines: text.split('\n') };
  };
  const put = async (url: string, part: Buffer): Promise<string> => {
    const reply = await fetch(url, { method: 'PUT', body: new Blob([new Uint8Array(part)]) });
    assert.equal(reply.status, 200);
    return String(reply.headers.get('etag'));
  };
  const link = async (text: string): Promise<Buffer> => {
    const fields = { entity_type, entity_id, upload_link_info: text, field_name: 'sg_uploaded_movie' };
    const id = idOf(await upload('api_link_file', fields));
    const { sg_uploaded_movie: movie } = await site.first(
      'Version',
      [['id', 'is', entity_id]],
      ['sg_uploaded_movie'],
    );
    assert.equal(movie.id, id);
    return download(movie.url);
  };
  const whole = await info('False');
  assert.equal(whole.lines[0], '1');
  assert.equal(await put(whole.lines[1] ?? '', bytes), `"${createHash('md5').update(bytes).digest('hex')}"`);
  assert.deepEqual(await link(whole.text), bytes);
  const parts = await info('True');
  const about = {
    upload_type: 'Attachment',
    filename: 'f.bin',
    timestamp: parts.lines[2],
    upload_id: parts.lines[4],
  };
  const etags: string[] = [];
  for (const [index, part] of [bytes.subarray(0, 90_000), bytes.subarray(90_000)].entries()) {
    const reply = await upload('api_get_upload_link_for_part', { ...about, part_number: index + 1 });
    etags.push(await put(reply.split('\n')[1] ?? '', part));
  }
  assert.match(await upload('api_complete_multipart_upload', { ...about, etags: 'a,b' }), /^0/);
  assert.match(await upload('api_complete_multipart_upload', { ...about, etags: etags.join(',') }), /^1/);
  assert.deepEqual(await link(parts.text), bytes);
  assert.equal((await fetch(`${site.url}/storage/upload/x/0`, { method: 'PUT', body: 'x' })).status, 403);
});

test('links to pages and local files are Attachments too', async () => {
  const { entity_id: id } = await target('Version');
  const movie = async (value: unknown): Promise<Row> =>
    (await site.update('Version', id, { sg_uploaded_movie: value })).sg_uploaded_movie;
  const web = await movie({ url: 'https://example.com/a', name: 'page' });
  assert.deepEqual(
    [web['url'], web['name'], web['link_type'], web.type],
    ['https://example.com/a', 'page', 'web', 'Attachment'],
  );
  const local = await movie({ local_path: '/mnt/projects/a/b.mov' });
  assert.notEqual(local.id, web.id);
  assert.equal(local['url'], undefined);
  assert.equal(local['relative_path'], 'a/b.mov');
  assert.equal(local['local_path_windows'], 'P:\\projects\\a\\b.mov');
  assert.equal(local['local_storage'].name, 'primary');
  const relative = await movie({
    relative_path: 'c.mov',
    local_storage: { type: 'LocalStorage', name: 'primary' },
  });
  assert.equal(relative['local_path_linux'], '/mnt/projects/c.mov');
  await assert.rejects(
    movie({ local_path: '/elsewhere/x' }),
    /Path \/elsewhere\/x doesn't match any defined Local Storage./,
  );
  assert.equal(await movie(null), null);
});

test('a refused upload is told with 200 and 0, and changes nothing', async () => {
  const { entity_type, entity_id } = await target('Version');
  const from = await site.lastEventId();
  const file = { field: 'file', name: 'x' };
  assert.match(
    await upload('upload_file', { entity_type, entity_id, script_key: 'no' }, file),
    /^0\nCan't authenticate/,
  );
  assert.match(
    await upload('upload_file', { entity_type, entity_id: 999_999 }, file),
    /^0\n.*does not exist/,
  );
  assert.match(await upload('upload_file', { entity_type, entity_id, field_name: 'code' }, file), /^0\n/);
  assert.match(await upload('upload_file', { entity_type, entity_id }), /^0\nmissing file/);
  assert.equal(await site.lastEventId(), from);
});
