import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import type { EntityRow } from '@understudy/domain/entity';
import { until } from '@understudy/harness/until';
import { type Api, call, entitiesOf, type Reply, readOf, SCRIPT, send, startApi } from './api-rig.ts';

/** Writes through a reader while the site fails in every way: nothing is done twice, nothing is forgotten. */
let api: Api;
before(async () => {
  api = await startApi({ env: { UNDERSTUDY_SITE_TIMEOUT_MS: '1500' } });
});
after(() => api?.stop());

const faults = (changed: Partial<Api['sandbox']['faults']>): void => {
  api.sandbox.faults = { ...api.sandbox.faults, ...changed };
};
afterEach(() => faults({ outage: false, closeRate: 0, errorRate: 0, latencyMs: 0 }));

const PROJECT = { type: 'Project', id: 1 };
let number = 0;
const newShot = (): { readonly code: string; readonly payload: object } => {
  number += 1;
  const code = `fault_${number}`;
  const fields = [
    { field_name: 'project', value: PROJECT },
    { field_name: 'code', value: code },
  ];
  return { code, payload: { type: 'Shot', fields, return_fields: ['id'] } };
};
const describe = (id: number, description: string): object => ({
  type: 'Shot',
  id,
  fields: [{ field_name: 'description', value: description }],
});
/** What the site itself holds, looked up inside it. */
const onSite = async (code: string): Promise<readonly EntityRow[]> =>
  entitiesOf(await call(api.siteUrl, 'read', readOf('Shot', ['code'], [['code', 'is', code]])));
const seen = (fields: readonly string[], id: number): Promise<Reply> =>
  call(api.readerUrl, 'read', readOf('Shot', fields, [['id', 'is', id]]));
const sourceOf = (reply: Reply): string => String(reply.headers['x-understudy']);

/** A refusal that no client sends again by itself (protocol §1.4): a fault in status 200. */
function isNotRepeated(reply: Reply, words: RegExp): void {
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.json.exception, true);
  assert.match(String(reply.json.message), words);
}

test('a create whose answer was lost is sent once, and is not to be repeated', async () => {
  const { code, payload } = newShot();
  faults({ closeRate: 1 });
  const reply = await call(api.readerUrl, 'create', payload);
  faults({ closeRate: 0 });
  isNotRepeated(reply, /answer of the site was lost/);
  assert.equal((await onSite(code)).length, 1);
});

test('an update whose answer was lost is seen by the next read all the same', async () => {
  faults({ closeRate: 1 });
  const reply = await call(api.readerUrl, 'update', describe(1, 'answer lost'));
  isNotRepeated(reply, /answer of the site was lost/);
  faults({ closeRate: 0 });
  const [shot] = entitiesOf(await seen(['description'], 1));
  assert.equal(shot?.['description'], 'answer lost');
  await until(
    'the replica answers again',
    async () => sourceOf(await seen(['description'], 1)) === 'replica',
  );
  assert.equal(entitiesOf(await seen(['description'], 1))[0]?.['description'], 'answer lost');
});

test('a site that is too slow: the write is done once, the client is told, the replica follows', async () => {
  faults({ latencyMs: 2_500 });
  const reply = await call(api.readerUrl, 'update', describe(2, 'too slow'));
  isNotRepeated(reply, /answer of the site was lost/);
  faults({ latencyMs: 0 });
  await until('the site did it, and the replica shows it', async () => {
    const shown = await seen(['description'], 2);
    return sourceOf(shown) === 'replica' && entitiesOf(shown)[0]?.['description'] === 'too slow';
  });
});

test('502 of a gateway is never passed on for a write', async () => {
  const { code, payload } = newShot();
  faults({ errorRate: 1 });
  isNotRepeated(await call(api.readerUrl, 'create', payload), /may have been done/);
  faults({ errorRate: 0 });
  assert.equal((await onSite(code)).length, 0);
});

test('nobody listens: nothing was written, and it is said so', async () => {
  faults({ outage: true });
  const reply = await call(api.readerUrl, 'update', describe(3, 'never'));
  assert.equal(reply.status, 200);
  assert.equal(reply.json.exception, true);
  faults({ outage: false });
  assert.notEqual(entitiesOf(await seen(['description'], 3))[0]?.['description'], 'never');
});

test('the replica cannot be told: the client gets its answer, and reads come from the site until it can', async () => {
  const { pool } = api.replica.db;
  const rename = (from: string, to: string): Promise<unknown> =>
    pool.query(`alter table site.${from} rename to ${to}`);
  await rename('shot', 'shot_away');
  let id: number;
  try {
    const { payload } = newShot();
    const reply = await call(api.readerUrl, 'create', payload);
    id = (reply.json.results as { readonly id: number }).id;
    assert.ok(id > 0);
    const shown = await seen(['code'], id);
    assert.match(sourceOf(shown), /^site; reason=/);
    assert.equal(entitiesOf(shown).length, 1);
    const tasks = await call(api.readerUrl, 'read', readOf('Task', ['content']));
    assert.equal(sourceOf(tasks), 'site; reason=unmerged-write');
    const { rows } = await pool.query(
      'select from understudy.refresh_request where entity_id = $1 and written_at is not null',
      [id],
    );
    assert.equal(rows.length, 1, 'every reader knows, and any applier may fetch it');
  } finally {
    await rename('shot_away', 'shot');
  }
  await until('the replica has it', async () => sourceOf(await seen(['code'], id)) === 'replica');
  assert.equal(entitiesOf(await seen(['code'], id)).length, 1);
});

test('PostgreSQL is behind: another reader knows of the unmerged write', async () => {
  const { pool } = api.replica.db;
  await pool.query(
    `insert into understudy.refresh_request (entity_type, entity_id, tick, reason, written_at)
     values ('Shot', 1, nextval('understudy.tick'), 'test', now())`,
  );
  await until(
    'reads pass through',
    async () => sourceOf(await seen(['code'], 1)) === 'site; reason=unmerged-write',
  );
  await pool.query('delete from understudy.refresh_request');
  await until('the replica answers', async () => sourceOf(await seen(['code'], 1)) === 'replica');
});

test('PostgreSQL takes no writes, as after a failover: no reader could be told of one, so that none answers from it', async () => {
  const { pool } = api.replica.db;
  const tx = await pool.connect();
  try {
    const { rows } = await tx.query<{ name: string }>('select current_database() as name');
    const setting = (change: string): Promise<unknown> =>
      tx.query(`alter database "${rows[0]?.name}" ${change}`);
    await setting('set default_transaction_read_only = on');
    await tx.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    await until('reads pass through', async () => /^site;/.test(sourceOf(await seen(['code'], 4))));
    assert.equal((await call(api.readerUrl, 'update', describe(4, 'read-only'))).json.exception, undefined);
    const shown = await seen(['description'], 4);
    assert.match(sourceOf(shown), /^site;/);
    assert.equal(entitiesOf(shown)[0]?.['description'], 'read-only');
    await setting('reset default_transaction_read_only');
  } finally {
    tx.release();
  }
  await until('the replica answers', async () => sourceOf(await seen(['description'], 4)) === 'replica');
  assert.equal(entitiesOf(await seen(['description'], 4))[0]?.['description'], 'read-only');
});

test('what a schedule, a follow or an unknown method may have changed is fetched before their reply', async () => {
  const tasks = readOf(
    'Task',
    ['start_date', 'due_date', 'task_assignees', 'project'],
    [['due_date', 'is_not', null]],
  );
  const task = entitiesOf(await call(api.siteUrl, 'read', tasks)).find(
    (row) => row['start_date'] !== null && (row['task_assignees'] as readonly unknown[]).length > 0,
  );
  assert.ok(task !== undefined);
  const [user] = task['task_assignees'] as readonly { readonly type: string; readonly id: number }[];
  const due = String(task['due_date']);
  const taskId = { type: 'Task', id: task.id };
  const shot = { type: 'Shot', id: 5 };
  /** As the site's own rules may do it: nobody tells the replica. */
  const changeOnSite = (ref: object, field: string, value: string): Promise<Reply> =>
    call(api.siteUrl, 'update', { ...ref, fields: [{ field_name: field, value }] });
  const shows = async ({ type, id }: { type: string; id: number }, field: string): Promise<unknown> => {
    const reply = await call(api.readerUrl, 'read', readOf(type, [field], [['id', 'is', id]]));
    assert.equal(sourceOf(reply), 'replica');
    return entitiesOf(reply)[0]?.[field];
  };
  const schedule = { date: due, working: false, description: null, recalculate_field: null };
  let moved = 0;
  for (const scope of [
    { project: task['project'], user: null },
    { project: null, user },
    { project: null, user: null },
  ]) {
    moved += 1;
    const later = new Date(Date.parse(due) + moved * 86_400_000).toISOString().slice(0, 10);
    await changeOnSite(taskId, 'due_date', later);
    assert.notEqual(await shows(taskId, 'due_date'), later, 'nobody told the replica');
    const reply = await call(api.readerUrl, 'work_schedule_update', { ...schedule, ...scope });
    assert.equal(reply.json.exception, undefined, reply.text);
    assert.equal(await shows(taskId, 'due_date'), later, JSON.stringify(scope));
  }
  for (const method of ['follow', 'unfollow', 'a_method_of_tomorrow']) {
    await changeOnSite(shot, 'description', method);
    const refused = await call(api.readerUrl, method, { user, entity: { type: 'Shot', id: 999_999 } });
    assert.equal(refused.json.exception, true);
    assert.notEqual(await shows(shot, 'description'), method);
    const reply = await call(api.readerUrl, method, { user, entity: shot });
    if (reply.json.exception !== true) assert.equal(await shows(shot, 'description'), method);
  }
});

test('a client that goes away loses its answer, not its write', async () => {
  faults({ latencyMs: 500 });
  const { code, payload } = newShot();
  const request = httpRequest(`${api.readerUrl}/api3/json`, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json' },
  });
  request.on('error', () => {
    // It is this test that gives it up.
  });
  request.end(JSON.stringify({ method_name: 'create', params: [SCRIPT, payload] }));
  await once(request, 'finish');
  // What was sent before this has been taken up once this is answered.
  for (let round = 0; round < 3; round += 1) await send(`${api.readerUrl}/ping`);
  request.destroy();
  faults({ latencyMs: 0 });
  await until('the site has it', async () => (await onSite(code)).length === 1);
  const read = readOf('Shot', ['code'], [['code', 'is', code]]);
  await until('the replica shows it', async () => {
    const shown = await call(api.readerUrl, 'read', read);
    return sourceOf(shown) === 'replica' && entitiesOf(shown).length === 1;
  });
});

test('many writes at random faults: each is on the site once or not at all', async () => {
  faults({ closeRate: 0.3, errorRate: 0.2 });
  const shots = Array.from({ length: 40 }, newShot);
  await Promise.all(shots.map(({ payload }) => call(api.readerUrl, 'create', payload)));
  faults({ closeRate: 0, errorRate: 0 });
  for (const { code } of shots) assert.ok((await onSite(code)).length <= 1, code);
});
