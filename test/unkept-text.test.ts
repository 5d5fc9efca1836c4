import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Json } from '@understudy/domain/entity';
import { EVENT_LOG_ENTRY_FIELDS } from '@understudy/domain/event';
import { until } from '@understudy/harness/until';
import { type Api, call, entitiesOf, readOf, startApi } from './api-rig.ts';
import { followLog } from './follow-log.ts';

/** JSON of the site's may hold what PostgreSQL keeps in no text: NUL, and halves of surrogate pairs. */
let api: Api;
before(async () => {
  api = await startApi({ cacheAll: true });
});
after(() => api?.stop());

const TYPE = 'CustomEntity01';
const HOSTILE: readonly Json[] = ['a\0b', { 'a\0': 1 }, [['\ud83d']], { a: { b: '\udc00x' } }];
const PROJECT = { type: 'Project', id: 1 };
const create = async (type: string, values: Readonly<Record<string, Json>>): Promise<number> => {
  const fields = Object.entries(values).map(([field_name, value]) => ({ field_name, value }));
  const { json } = await call(api.readerUrl, 'create', { type, fields, return_fields: ['id'] });
  return (json.results as { readonly id: number }).id;
};

/** Asks both; they must agree. @returns who answered at the reader. */
async function agree(payload: object): Promise<string> {
  const [ours, theirs] = await Promise.all([
    call(api.readerUrl, 'read', payload),
    call(api.siteUrl, 'read', payload),
  ]);
  assert.ok(entitiesOf(theirs).length > 0);
  assert.deepEqual(entitiesOf(ours), entitiesOf(theirs));
  return String(ours.headers['x-understudy']);
}

test('a row whose JSON cannot be kept is the site’s to show; what else it holds, and other rows, are not', async () => {
  const usual = await create(TYPE, { code: 'usual', project: PROJECT, sg_data: { a: ['ü', '😀', null] } });
  for (const value of HOSTILE) {
    const id = await create(TYPE, { code: 'hostile', project: PROJECT, sg_data: value });
    const one = (fields: readonly string[], of = id): object => readOf(TYPE, fields, [['id', 'is', of]]);
    // Asked again and again, and of one row after the other, it is no other answer.
    for (let time = 0; time < 3; time += 1) {
      assert.equal(await agree(one(['code', 'sg_data'], usual)), 'replica');
      assert.equal(await agree(one(['code', 'sg_data'])), 'site; reason=value-in-doubt');
      assert.equal(await agree(one(['code', 'project'])), 'replica');
    }
    assert.equal(await agree(readOf(TYPE, ['sg_data'])), 'site; reason=value-in-doubt');
    const fields = [{ field_name: 'sg_data', value: 'kept' }];
    await call(api.readerUrl, 'update', { type: TYPE, id, fields });
    assert.equal(await agree(one(['code', 'sg_data'])), 'replica');
  }
});

test('an event that holds such JSON is stored, and the log goes on; the site shows it', async () => {
  await followLog(api.replica);
  const made: number[] = [];
  for (const meta of HOSTILE)
    made.push(await create('EventLogEntry', { event_type: 'Farm_Done', description: 'd', meta }));
  const after = await create('EventLogEntry', { event_type: 'Farm_Done', meta: { frames: 3 } });
  await followLog(api.replica);
  const events = (above: number, fields: readonly string[]): object =>
    readOf('EventLogEntry', fields, [['id', 'greater_than', above]]);
  const first = Math.min(...made);
  await until(
    'the log is served',
    async () => (await agree(events(after - 1, ['event_type']))) === 'replica',
  );
  assert.equal(await agree(events(first - 1, EVENT_LOG_ENTRY_FIELDS)), 'site; reason=value-in-doubt');
  assert.equal(await agree(events(first - 1, ['event_type', 'description'])), 'replica');
  assert.equal(await agree(events(after - 1, EVENT_LOG_ENTRY_FIELDS)), 'replica');
});
