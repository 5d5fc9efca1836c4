import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DATA_TYPES, isDataTypeName } from '@understudy/domain/data-types/registry';
import { randomFrom } from './random.ts';
import { parseSandboxJson } from './sandbox-schema.ts';
import { startTestSite } from './test-site.ts';
import { playOne } from './traffic/play.ts';

/** The schema_read of a real default site, where one lies beside the checkout; TEST_SITE_SCHEMA names another place. */
const beside = fileURLToPath(new URL('../../../shared/data/site-schema.json', import.meta.url));
const path = process.env['TEST_SITE_SCHEMA'] ?? beside;

test('the schema of a real site is loaded, seeded and served', { skip: !existsSync(path) }, async () => {
  const original = JSON.parse(await readFile(path, 'utf8')) as Record<
    string,
    Record<string, { data_type: { value: string } }>
  >;
  const site = await startTestSite({ schema: parseSandboxJson(JSON.stringify(original)), scale: 300 });
  const schema = await site.call('schema_read');
  for (const [type, fields] of Object.entries(original)) {
    const added = type === 'EventLogEntry' ? Object.keys(schema[type]) : Object.keys(fields);
    assert.deepEqual(Object.keys(schema[type]).toSorted(), added.toSorted(), 'no field is made up');
    for (const [name, field] of Object.entries(fields)) {
      assert.equal(schema[type]?.[name]?.data_type.value, field.data_type.value, `${type}.${name}`);
    }
    const rows = await site.find(type, [], Object.keys(fields));
    for (const row of rows) {
      for (const name of Object.keys(fields)) assert.ok(name in row, `${type}.${name} is missing`);
    }
    const conditions = Object.entries(fields).flatMap(([name, field]) => {
      const { value } = field.data_type;
      // A uuid is never asked for null, a checkbox neither.
      const isAsked = isDataTypeName(value) && value !== 'uuid' && DATA_TYPES[value].relations.includes('is');
      return isAsked ? [{ path: name, relation: 'is', values: [value === 'checkbox' ? true : null] }] : [];
    });
    await site.find(type, [], ['id'], { filters: { logical_operator: 'or', conditions } });
  }
  assert.ok((await site.find('Shot', [])).length > 0);
  const shot = await site.first('Shot', [], ['project', 'sg_status_list']);
  const from = await site.lastEventId();
  const made = await site.create('Shot', { code: 'new', project: shot.project });
  const [status] = await site.find('Shot', [['id', 'is', made.id]], ['sg_status_list']);
  assert.equal(status?.sg_status_list, 'wtg', 'the default of the schema');
  assert.ok((await site.events(from)).length > 1);
  const storage = await site.create('LocalStorage', { code: 'new' });
  const { uuid } = await site.first('LocalStorage', [['id', 'is', storage.id]], ['uuid']);
  assert.match(String(uuid), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  const person = await site.create('HumanUser', { name: 'One Name', login: 'one.name' });
  const link = await site.first('HumanUser', [['id', 'is', person.id]], ['cached_display_name']);
  assert.equal(link.cached_display_name, 'One Name');
  const file = await site.create('Attachment', { display_name: 'with checkboxes whose default is 0' });
  assert.ok(file.id > 0);
});

test('what the site says is not editable is not, nor what it computes', {
  skip: !existsSync(path),
}, async () => {
  const schema = parseSandboxJson(await readFile(path, 'utf8'));
  const site = await startTestSite({ schema, scale: 300 });
  const version = await site.first('Version', []);
  for (const field of ['updated_by', 'open_notes_count', 'cached_display_name'])
    await assert.rejects(site.update('Version', version.id, { [field]: null }), /is read only/);
  await assert.rejects(site.update('Version', version.id, { created_at: null }), /editable on create only/);
  const { events } = site.sandbox.data;
  const before = events.lastId;
  for (let n = 0; n < 300; n += 1) playOne(site.sandbox, randomFrom(n));
  const wrong = (await site.events(before)).filter(({ attribute_name: name }) =>
    ['updated_at', 'updated_by', 'cached_display_name'].includes(name),
  );
  assert.deepEqual(wrong, []);
});
