import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Json } from '@understudy/domain/entity';
import { type Api, call, entitiesOf, readOf, send, startApi } from './api-rig.ts';

/**
 * What a write changes besides the entity that it names, and of which its reply says little or nothing: a read right after
 * it shows it, although nobody follows the event log.
 */
let api: Api;

before(async () => {
  api = await startApi({ cacheAll: true });
});
after(() => api?.stop());

const PROJECT = { type: 'Project', id: 1 };
const field = (field_name: string, value: Json): object => ({ field_name, value });

async function write(method: string, payload: object): Promise<number> {
  const { json } = await call(api.readerUrl, method, payload);
  assert.ok(json.exception !== true, json.message);
  return (json.results as { readonly id?: number }).id ?? 0;
}

const create = (type: string, ...fields: readonly object[]): Promise<number> =>
  write('create', { type, fields, return_fields: ['id'] });

/** The replica and the site must say the same. */
async function agree(type: string, fields: readonly string[], ...ids: readonly number[]): Promise<void> {
  const payload = readOf(type, fields, [['id', 'in', ...ids]]);
  const ours = await call(api.readerUrl, 'read', payload);
  assert.match(String(ours.headers['x-understudy']), /^replica/);
  assert.deepEqual(entitiesOf(ours), entitiesOf(await call(api.siteUrl, 'read', payload)));
}

test('a file that is linked by a value makes an Attachment', async () => {
  const link = { url: 'https://example.com/take', name: 'take' };
  const version = await create('Version', field('project', PROJECT), field('sg_uploaded_movie', link));
  const last = (): number => api.sandbox.data.lastId('Attachment');
  await agree('Attachment', ['display_name', 'project'], last());
  const uploaded_movie = field('sg_uploaded_movie', { ...link, name: 'another' });
  await write('update', { type: 'Version', id: version, fields: [uploaded_movie] });
  await agree('Attachment', ['display_name', 'project'], last() - 1, last());
});

test('what is put into one list leaves the list where it was', async () => {
  const [from, to] = [
    await create('Shot', field('project', PROJECT), field('code', 'from')),
    await create('Shot', field('project', PROJECT), field('code', 'to')),
  ];
  const task = await create(
    'Task',
    field('project', PROJECT),
    field('content', 'moves'),
    field('entity', { type: 'Shot', id: from }),
  );
  await agree('Shot', ['tasks'], from, to);
  const tasks = [{ type: 'Task', id: task }];
  await write('update', { type: 'Shot', id: to, fields: [field('tasks', tasks)] });
  await agree('Shot', ['tasks'], from, to);
  await agree('Task', ['entity'], task);
});

test('an entity whose name is cleared has none where it is linked', async () => {
  const sequence = await create('Sequence', field('project', PROJECT), field('code', 'named'));
  const link = field('sg_sequence', { type: 'Sequence', id: sequence });
  const shot = await create('Shot', field('project', PROJECT), link);
  await agree('Shot', ['sg_sequence'], shot);
  await write('update', { type: 'Sequence', id: sequence, fields: [field('code', '')] });
  await agree('Shot', ['sg_sequence'], shot);
});

test('of an entity of a type that is not kept, links show the name, and that it is gone or back', async () => {
  await using other = { api: await startApi(), [Symbol.asyncDispose]: () => other.api.stop() };
  const { readerUrl, siteUrl, replica } = other.api;
  assert.ok(!replica.schema.types.has('Attachment'));
  const form = `--x\r\nContent-Disposition: form-data; name="entity_type"\r\n\r\nNote\r\n--x\r
Content-Disposition: form-data; name="entity_id"\r\n\r\n1\r\n--x\r
Content-Disposition: form-data; name="script_name"\r\n\r\npipeline\r\n--x\r
Content-Disposition: form-data; name="script_key"\r\n\r\npipeline-key\r\n--x\r
Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n--x--\r\n`;
  const headers = { 'content-type': 'multipart/form-data; boundary=x' };
  const upload = await send(`${readerUrl}/upload/upload_file`, { method: 'POST', headers, body: form });
  const id = Number(/^1:(\d+)/.exec(upload.text)?.[1]);
  const look = async (what: string, ...names: readonly string[]): Promise<void> => {
    const payload = readOf('Note', ['attachments'], [['id', 'is', 1]]);
    const ours = await call(readerUrl, 'read', payload);
    assert.match(String(ours.headers['x-understudy']), /^replica/);
    assert.deepEqual(entitiesOf(ours), entitiesOf(await call(siteUrl, 'read', payload)), what);
    const links = entitiesOf(ours)[0]?.['attachments'] as unknown as readonly { readonly name: string }[];
    assert.deepEqual(
      links.map(({ name }) => name),
      names,
      what,
    );
  };
  const update = (type: string, of: number, ...fields: readonly object[]): Promise<unknown> =>
    call(readerUrl, 'update', { type, id: of, fields });
  await look('uploaded', 'a.txt');
  await update('Attachment', id, field('display_name', 'renamed'));
  await look('renamed', 'renamed');
  await call(readerUrl, 'delete', { type: 'Attachment', id });
  await look('deleted');
  await update('Note', 1, field('content', 'fetched without the link'));
  await call(readerUrl, 'revive', { type: 'Attachment', id });
  await look('revived', 'renamed');
  await update('Attachment', id, field('attachment_links', []));
  await look('unlinked from its own side');
});
