import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { type Row, SCRIPT, startTestSite, type TestSite } from './test-site.ts';

const folder = await mkdtemp(join(tmpdir(), 'sandbox-state-'));
after(() => rm(folder, { recursive: true, force: true }));
const stateFile = join(folder, 'site.jsonl');

interface Everything {
  readonly schema: unknown;
  readonly rows: Readonly<Record<string, Row[]>>;
}

async function everything(site: TestSite): Promise<Everything> {
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

async function newestEvents(site: TestSite): Promise<readonly number[]> {
  const sorts = [{ field_name: 'id', direction: 'desc' }];
  return (await site.find('EventLogEntry', [], ['id'], { sorts })).map(({ id }) => id);
}

const withoutEvents = ({ schema, rows }: Everything): unknown => ({
  schema,
  rows: { ...rows, 'EventLogEntry active': [] },
});

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

test('a journal is written anew when it has grown, while writes go on, and gives the same data', async () => {
  const path = join(folder, 'grown.jsonl');
  const options = { stateFile: path, journalLimits: { compactBytes: 30_000, eventsKept: 40 } };
  const site = await startTestSite(options);
  const shot = await site.first('Shot', [], ['project']);
  for (let n = 0; n < 300; n += 1) {
    const assets = [{ type: 'Asset', id: 1 + (n % 3) }];
    await site.update('Shot', shot.id, { description: `change ${n}`, assets });
    if (n % 50 === 0) {
      const note = await site.create('Note', {
        subject: `note ${n}`,
        project: shot.project,
        note_links: [shot],
      });
      if (n % 100 === 0) await site.call('delete', { type: 'Note', id: note.id });
    }
  }
  await site.call('revive', {
    type: 'Note',
    id: (await site.find('Note', [], ['id'], { return_only: 'retired' }))[0]?.id,
  });
  await assert.rejects(site.create('Shot', { code: 'rolled back', project: shot.project, nope: 1 }));
  // With a line for each change it is about three times as large. One that was written anew under many writes is large
  // again, until the next time.
  await until('the journal is short', async () => {
    await site.update('Shot', shot.id, { description: 'one more change' });
    return (await stat(path)).size < 400_000;
  });
  const events = await newestEvents(site);
  const last = await everything(site);
  await site.close();
  assert.ok(!(await readdir(folder)).includes('grown.jsonl.new'));
  const again = await startTestSite(options);
  const left = await newestEvents(again);
  // Which are kept is told by their ids, of which not each became an entry.
  assert.ok(left.length >= events.filter((id) => id > (events[0] ?? 0) - 40).length);
  assert.deepEqual(left, events.slice(0, left.length), 'the newest entries of the log were kept');
  assert.deepEqual(withoutEvents(await everything(again)), withoutEvents(last));
  const next = await again.create('Shot', { code: 'next', project: shot.project });
  assert.ok(next.id > shot.id);
  await again.close();
});
