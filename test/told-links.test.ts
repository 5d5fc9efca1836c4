import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { initWatermark } from '@understudy/store/watermark';
import { type Api, call, entitiesOf, readOf, startApi } from './api-rig.ts';
import { followLog } from './follow-log.ts';

/** What events tell of the entities that links lead to. */
let api: Api;

before(async () => {
  api = await startApi();
  await initWatermark(api.replica.db.pool, api.sandbox.data.lastId('EventLogEntry'));
});
after(() => api?.stop());

const field = (field_name: string, value: unknown): object => ({ field_name, value });

async function write(method: string, type: string, id: number, ...fields: object[]): Promise<void> {
  const { json } = await call(api.siteUrl, method, { type, id, fields });
  assert.ok(json.exception !== true, json.message);
}

async function agree(type: string, fields: readonly string[]): Promise<void> {
  const payload = readOf(type, fields);
  const ours = await call(api.readerUrl, 'read', payload);
  assert.match(String(ours.headers['x-understudy']), /^replica/);
  assert.deepEqual(entitiesOf(ours), entitiesOf(await call(api.siteUrl, 'read', payload)));
}

test('a link to an entity that was retired before does not bring it back', async () => {
  // No list of a step or a person holds what links to it, so that neither is fetched for the link's sake.
  const [step, person] = [
    { type: 'Step', id: 1 },
    { type: 'HumanUser', id: 3 },
  ];
  for (const { type, id } of [step, person]) await write('delete', type, id);
  await followLog(api.replica);
  await agree('Task', ['step', 'task_assignees']);
  await write('update', 'Task', 1, field('step', step));
  await write('update', 'Task', 2, field('task_assignees', [person]));
  await followLog(api.replica);
  await agree('Task', ['step', 'task_assignees']);
});
