import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Row, SCRIPT, startTestSite, type TestSite } from './test-site.ts';

const folder = await mkdtemp(join(tmpdir(), 'sandbox-state-'));
after(() => rm(folder, { recursive: true, force: true }));
const stateFile = join(folder, 'site.jsonl');

async function everything(site: TestSite): Promise<unknown> {
  const schema = await site.call('schema_read');
  const rows: Record<string, Row[]> = {};
  for (const [type, fields] of Object.entries(schema)) {
    const names = Object.keys(fields as object).filter(
      (name) => name !== 'image' && name !== 'sg_uploaded_movie' && name !== 'this_file',
    );
    for (const return_only of ['active', 'retired']) {
      rows[`${type} ${return_only}`] = await site.find(type, [], names, { return_only });
    }
  }
  return { schema, rows };
}

test('data, events, schema and files survive a restart, even one in the middle of a line', async () => {
  const site = await startTestSite({ stateFile });
  const shot = await site.first('Shot', [], ['project']);
  await site.update('Shot', shot.id, { description: 'kept', assets: [{ type: 'Asset', id: 1 }] });
  const made = await site.create('Task', {
    content: 'new',
    project: shot.project,
    entity: { type: 'Shot', id: shot.id },
  });
  await site.call('delete', { type: 'Version', id: 1 });
  await site.call('follow', { user: { type: 'HumanUser', id: 1 }, entity: { type: 'Shot', id: shot.id } });
  const properties = [{ property_name: 'name', value: 'kept field' }];
  await site.call('schema_field_create', { type: 'Shot', data_type: 'text', properties });
  await site.call('schema_field_delete', { type: 'Shot', field_name: 'sg_shot_type' });
  await assert.rejects(site.create('Task', { content: 'refused', project: shot.project, nope: 1 }));
  const form = new FormData();
  const fields = {
    ...SCRIPT,
    entity_type: 'Version',
    entity_id: '2',
    field_name: 'sg_uploaded_movie',
    display_name: 'm',
  };
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', new Blob(['movie']), 'm.mov');
  await fetch(`${site.url}/upload/upload_file`, { method: 'POST', body: form });
  const before = await everything(site);
  await site.close();
  await appendFile(stateFile, '["set","Shot",1,"description","cut sh');

  const again = await startTestSite({ stateFile });
  assert.deepEqual(await everything(again), before);
  const next = await again.create('Task', { content: 'next', project: shot.project });
  assert.ok(next.id > made.id, 'ids go on');
  const [movie] = await again.find('Version', [['id', 'is', 2]], ['sg_uploaded_movie']);
  assert.equal(await (await fetch(movie?.sg_uploaded_movie.url)).text(), 'movie');
  const last = await everything(again);
  await again.close();
  const third = await startTestSite({ stateFile });
  assert.deepEqual(await everything(third), last);
  await third.close();
});

test('a file that began from something else is put aside', async () => {
  const before = await readFile(stateFile, 'utf8');
  const site = await startTestSite({ stateFile, seed: 8 });
  assert.equal(typeof site.putAside, 'string');
  assert.equal(await readFile(String(site.putAside), 'utf8'), before);
  assert.equal((await readdir(folder)).filter((name) => name.endsWith('.old')).length, 1);
  await site.close();
});
