import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { storeEvents } from '@understudy/store/event-log';
import { type Api, call, entitiesOf, readOf, startApi } from './api-rig.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api?.stop());

const sourceOf = async (method: string, payload?: unknown): Promise<string> =>
  String((await call(api.readerUrl, method, payload)).headers['x-understudy']);

for (const [method, payload] of [
  ['schema_read'],
  ['schema_entity_read'],
  ['schema_field_read', { type: 'Shot' }],
  ['schema_field_read', { type: 'Shot', field_name: 'sg_status_list' }],
] as const) {
  test(`${method} ${JSON.stringify(payload ?? null)} is answered here, word for word`, async () => {
    const [ours, theirs] = await Promise.all([
      call(api.readerUrl, method, payload),
      call(api.siteUrl, method, payload),
    ]);
    assert.equal(ours.headers['x-understudy'], 'replica');
    assert.equal(ours.text, theirs.text);
  });
}

test('what the copy does not hold is the site’s to answer or refuse', async () => {
  const project = { project: { type: 'Project', id: 1 } };
  assert.match(await sourceOf('schema_read', project), /schema-of-a-project/);
  assert.match(await sourceOf('schema_field_read', { type: 'Shot', ...project }), /schema-of-a-project/);
  for (const payload of [
    { type: 'NoSuch' },
    { type: '__proto__' },
    { type: 'Shot', field_name: 'constructor' },
    { type: 7 },
  ]) {
    const [ours, theirs] = await Promise.all([
      call(api.readerUrl, 'schema_field_read', payload),
      call(api.siteUrl, 'schema_field_read', payload),
    ]);
    assert.match(String(ours.headers['x-understudy']), /^site; reason=invalid-read$/);
    assert.equal(ours.text, theirs.text);
  }
});

test('a field that came or went on the site passes through until the copy is renewed', async () => {
  const { pool } = api.replica.db;
  const askedAt = async (): Promise<number> => {
    const { rows } = await pool.query<{ asked_at: Date }>('select asked_at from understudy.site_schema');
    return rows[0]?.asked_at.getTime() ?? 0;
  };
  const before = await askedAt();
  // Nobody renews meanwhile: another reader has the task.
  await pool.query(`update understudy.site_schema set renewing_until = now() + interval '1 hour'`);
  const entry = {
    id: 900_000,
    event_type: 'Shotgun_DisplayColumn_New',
    attribute_name: null,
    entity: null,
    project: null,
    user: null,
    meta: { type: 'new_entity' },
    created_at: '2026-01-01T00:00:00Z',
    description: null,
    session_uuid: null,
  };
  await storeEvents(pool, [{ entry, tick: 1, late: false }]);
  assert.match(await sourceOf('schema_read'), /^site; reason=schema-changed$/);
  await pool.query('update understudy.site_schema set renewing_until = null');
  await until('the copy is renewed', async () => (await askedAt()) > before);
  await until('it is served', async () => (await sourceOf('schema_read')) === 'replica');
});

test('a change of the schema made through the reader shows in the next schema read', async () => {
  // Nobody else renews the copy meanwhile.
  await api.replica.db.pool.query(
    `update understudy.site_schema set renewing_until = now() + interval '1 hour'`,
  );
  const properties = [{ property_name: 'name', value: 'Wetness' }];
  const made = await call(api.readerUrl, 'schema_field_create', {
    type: 'Shot',
    data_type: 'text',
    properties,
  });
  assert.equal(made.json.results, 'sg_wetness');
  const ours = await call(api.readerUrl, 'schema_read');
  assert.match(ours.text, /"sg_wetness"/);
  assert.equal(ours.text, (await call(api.siteUrl, 'schema_read')).text);
});

test('a field deleted through the reader is served no more once that is answered', async () => {
  const field = 'sg_cut_in';
  const read = readOf('Shot', ['code', field], [['id', 'is', 1]]);
  const before = await call(api.readerUrl, 'read', read);
  assert.equal(before.headers['x-understudy'], 'replica');
  const payload = { type: 'Shot', field_name: field };
  assert.equal((await call(api.readerUrl, 'schema_field_delete', payload)).json.results, true);
  const [ours, theirs] = await Promise.all([
    call(api.readerUrl, 'read', read),
    call(api.siteUrl, 'read', read),
  ]);
  assert.deepEqual(entitiesOf(ours), entitiesOf(theirs));
});
