import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { refreshDue } from '@understudy/applier/refresh';
import type { EventLogEntry } from '@understudy/domain/event';
import { applyEvents } from '@understudy/pipeline/apply-events';
import { storeEvents } from '@understudy/store/event-log';
import { nextTick } from '@understudy/store/tick';
import { initWatermark } from '@understudy/store/watermark';
import { type Api, call, entitiesOf, readOf, startApi } from './api-rig.ts';
import { followLog } from './follow-log.ts';

/** What events tell of the entities that links lead to. */
let api: Api;
let folder: string;
/** Neither steps nor people are kept. */
const SCHEMA = `types:
  Task:
    content: text
    step: {entity: [Step]}
    task_assignees: {multi_entity: [HumanUser]}
    upstream_tasks: {multi_entity: [Task]}
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-told-'));
  const file = join(folder, 'schema.yaml');
  await writeFile(file, SCHEMA);
  api = await startApi({ env: { UNDERSTUDY_SCHEMA_FILE: file } });
  await initWatermark(api.replica.db.pool, api.sandbox.data.lastId('EventLogEntry'));
});
after(async () => {
  await api?.stop();
  await rm(folder, { recursive: true, force: true });
});

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

test('a computed name changes also where the person is not kept', async () => {
  await write('update', 'Task', 3, field('task_assignees', [{ type: 'HumanUser', id: 4 }]));
  await followLog(api.replica);
  await agree('Task', ['task_assignees']);
  await write('update', 'HumanUser', 4, field('lastname', 'Newly-Wed'));
  await followLog(api.replica);
  await agree('Task', ['task_assignees']);
});

test('that something was retired before it was revived changes nothing, however late it is told', async () => {
  const { pool } = api.replica.db;
  await write('update', 'Task', 6, field('upstream_tasks', [{ type: 'Task', id: 5 }]));
  // The one is not kept, the other is.
  for (const [type, id, list] of [
    ['Step', 2, 'step'],
    ['Task', 5, 'upstream_tasks'],
  ] as const) {
    await write('delete', type, id);
    await write('revive', type, id);
    await followLog(api.replica);
    await agree('Task', [list]);
    const { rows } = await pool.query<{ entry: EventLogEntry }>(
      'select entry from understudy.event_log where event_type = $1 order by id desc limit 1',
      [`Shotgun_${type}_Retirement`],
    );
    assert.ok(rows[0]);
    const entry = { ...rows[0].entry, id: api.sandbox.data.lastId('EventLogEntry') + id * 1_000 };
    await storeEvents(pool, [{ entry, tick: await nextTick(pool), late: true }]);
    await applyEvents(api.replica, [entry]);
    await agree('Task', [list]);
    assert.equal(await refreshDue(api.replica, type, 10), 1);
    await agree('Task', [list]);
  }
});
