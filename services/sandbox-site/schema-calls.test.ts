import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault, SCRIPT, startTestSite } from './test-site.ts';

const site = await startTestSite();

const property = (property_name: string, value: unknown): object => ({ property_name, value });

test('a field made over the API gets a name of its own and can be written at once', async () => {
  const from = await site.lastEventId();
  const payload = { type: 'Shot', data_type: 'text', properties: [property('name', 'My  Löng Field!')] };
  assert.equal(await site.call('schema_field_create', payload), 'sg_my_lo_ng_field');
  assert.equal(await site.call('schema_field_create', payload), 'sg_my_lo_ng_field_1');
  const described = await site.call('schema_field_read', { type: 'Shot', field_name: 'sg_my_lo_ng_field' });
  assert.deepEqual(Object.keys(described), ['sg_my_lo_ng_field']);
  assert.deepEqual(described.sg_my_lo_ng_field.name, { value: 'My  Löng Field!', editable: true });
  assert.equal(described.sg_my_lo_ng_field.data_type.value, 'text');
  const shot = await site.first('Shot', []);
  await site.update('Shot', shot.id, { sg_my_lo_ng_field: 'x' });
  assert.equal(
    (await site.first('Shot', [['id', 'is', shot.id]], ['sg_my_lo_ng_field'])).sg_my_lo_ng_field,
    'x',
  );
  const [made] = await site.events(from);
  assert.equal(made?.event_type, 'Shotgun_DisplayColumn_New');
  assert.equal(made?.entity.name, 'sg_my_lo_ng_field');
  assert.deepEqual(made?.meta, {
    type: 'new_entity',
    entity_type: 'DisplayColumn',
    entity_id: made?.entity.id,
  });
  const [event] = await site.find(
    'EventLogEntry',
    [['id', 'is', made?.id]],
    ['entity.DisplayColumn.entity_type'],
  );
  assert.equal(event?.['entity.DisplayColumn.entity_type'], 'Shot');
});

test('a multi-entity field makes one on the other side', async () => {
  const properties = [property('name', 'Props'), property('valid_types', ['Asset'])];
  const payload = { type: 'CustomEntity01', data_type: 'multi_entity', properties };
  assert.equal(await site.call('schema_field_create', payload), 'sg_props');
  const other = await site.call('schema_field_read', { type: 'Asset' });
  const mirror = 'custom_entity01_sg_props_custom_entity01s';
  assert.deepEqual(other[mirror].properties.valid_types.value, ['CustomEntity01']);
  const asset = await site.first('Asset', [], ['project']);
  const made = await site.create('CustomEntity01', { code: 'c', project: asset.project, sg_props: [asset] });
  assert.equal((await site.first('Asset', [['id', 'is', asset.id]], [mirror]))[mirror][0].id, made.id);
  assert.equal(
    await site.call('schema_field_delete', { type: 'CustomEntity01', field_name: 'sg_props' }),
    true,
  );
  assert.equal((await site.call('schema_field_read', { type: 'Asset' }))[mirror], undefined);
});

test('an update changes the human name, and hides the field in one project', async () => {
  const from = await site.lastEventId();
  const field = { type: 'Shot', field_name: 'sg_shot_type' };
  const project = { type: 'Project', id: 1 };
  await site.call('schema_field_update', { ...field, properties: [property('name', 'Kind')] });
  await assert.rejects(
    site.call('schema_field_update', { ...field, properties: [property('visible', false)] }),
    (error: Fault) => error.code === 103,
  );
  await site.call('schema_field_update', { ...field, project, properties: [property('visible', false)] });
  const whole = await site.call('schema_field_read', field);
  const inProject = await site.call('schema_field_read', { ...field, project });
  assert.equal(whole.sg_shot_type.name.value, 'Kind');
  assert.equal(whole.sg_shot_type.visible.value, true);
  assert.equal(inProject.sg_shot_type.visible.value, false);
  const events = await site.events(from);
  assert.deepEqual(
    events.map((event) => [event.event_type, event.attribute_name]),
    [
      ['Shotgun_DisplayColumn_Change', 'human_name'],
      ['Shotgun_DisplayColumn_Change', 'properties'],
    ],
  );
  assert.equal(events[0]?.meta.new_value, 'Kind');
});

test('a deleted field is gone, its name stays taken, built-in fields stay', async () => {
  const payload = { type: 'Shot', data_type: 'number', properties: [property('name', 'gone')] };
  const name = await site.call('schema_field_create', payload);
  const from = await site.lastEventId();
  assert.equal(await site.call('schema_field_delete', { type: 'Shot', field_name: name }), true);
  const [event] = await site.events(from);
  assert.equal(event?.event_type, 'Shotgun_DisplayColumn_Delete');
  assert.equal(event?.entity, null);
  await assert.rejects(site.find('Shot', [[name, 'is', 1]]), /Shot.sg_gone doesn't exist/);
  assert.equal((await site.first('Shot', [], [name]))[name], undefined);
  assert.equal(await site.call('schema_field_create', payload), 'sg_gone_1');
  await assert.rejects(
    site.call('schema_field_delete', { type: 'Shot', field_name: 'code' }),
    /can not be deleted/,
  );
});

test('a retyped field keeps the values that fit', async () => {
  const payload = { type: 'Shot', data_type: 'text', properties: [property('name', 'mixed')] };
  const name = await site.call('schema_field_create', payload);
  const [first, second] = await site.find('Shot', []);
  await site.update('Shot', first?.id ?? 0, { [name]: '12' });
  await site.update('Shot', second?.id ?? 0, { [name]: 'twelve' });
  const from = await site.lastEventId();
  await site.admin('/schema', { change: 'retype', type: 'Shot', field: name, dataType: 'number' });
  const values = async (): Promise<unknown[]> => {
    const rows = await site.find('Shot', [['id', 'in', first?.id, second?.id]], [name]);
    return rows.map((row) => row[name]);
  };
  assert.deepEqual(await values(), [12, null]);
  const [event] = await site.events(from);
  assert.equal(event?.attribute_name, 'data_type');
  assert.deepEqual([event?.meta.old_value, event?.meta.new_value], ['text', 'number']);
});

test('a default value is set by creates', async () => {
  const properties = [
    property('name', 'mood'),
    property('valid_values', ['dark', 'light']),
    property('default_value', 'dark'),
  ];
  await site.call('schema_field_create', { type: 'Asset', data_type: 'list', properties });
  const asset = await site.create('Asset', { code: 'moody', project: { type: 'Project', id: 1 } });
  assert.equal((await site.first('Asset', [['id', 'is', asset.id]], ['sg_mood'])).sg_mood, 'dark');
});

test('the properties of a field are those of its data type', async () => {
  const properties = async (type: string, field_name: string): Promise<object> =>
    (await site.call('schema_field_read', { type, field_name }))[field_name].properties;
  const usual = ['default_value', 'summary_default'];
  const text = await properties('Shot', 'code');
  assert.deepEqual(Object.keys(text), usual);
  assert.deepEqual(Object.keys(await properties('Shot', 'sg_status_list')), [...usual, 'valid_values']);
  assert.deepEqual(Object.keys(await properties('Shot', 'project')), [...usual, 'valid_types']);
  const file = await properties('Version', 'sg_uploaded_movie');
  assert.deepEqual(Object.keys(file), [...usual, 'open_in_new_window']);
});

test('schema reads leave the schema of the schema out', async () => {
  const types = await site.call('schema_entity_read');
  assert.deepEqual(types.Shot, {
    name: { value: 'Shot', editable: false },
    visible: { value: true, editable: false },
  });
  assert.equal(types.DisplayColumn, undefined);
  const all = await site.call('schema_read', { project: { type: 'Project', id: 1 } });
  assert.deepEqual(Object.keys(all), Object.keys(types));
  await assert.rejects(site.call('schema_read', { project: { type: 'Project', id: 99_999 } }), Fault);
});

test('the private schema is given to a session', async () => {
  const { session_id: token } = await site.call('get_session_token', undefined, SCRIPT);
  const page = await fetch(`${site.url}/page/schema`, { headers: { cookie: `a=b; _session_id=${token}` } });
  const [line = ''] = (await page.text()).split('\n');
  const json = /^SG\.schema = new SG\.Schema\((.+)\);\s*$/.exec(line)?.[1] ?? '';
  const { entity_fields: fields } = JSON.parse(json);
  assert.equal(fields.Task.content.identifier_column, true);
  assert.equal(fields.Task.step.identifier_column, false);
  assert.deepEqual(fields.Shot.tasks.allowed_entity_types, ['Task']);
  assert.equal(fields.Shot.tasks.inverse_association, 'entity');
  assert.equal(fields.Task.entity.inverse_association, 'tasks');
  assert.equal(fields.Project.last_accessed_by_current_user.has_custom_filter, true);
  const refused = await fetch(`${site.url}/page/schema`, { redirect: 'manual' });
  assert.equal(refused.status, 302);
});
