import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fault, fieldItems, filtersOf, SCRIPT, startTestSite } from './test-site.ts';

const site = await startTestSite();
const project = { type: 'Project', id: (await site.create('Project', { name: 'Reads' })).id };
const page = (entities_per_page: number, current_page: number): object => ({
  paging: { entities_per_page, current_page },
});
const readShots = (more: object): Promise<{ entities: unknown[]; paging_info: object }> =>
  site.call('read', {
    type: 'Shot',
    return_fields: ['code'],
    filters: filtersOf([['project', 'is', project]]),
    ...more,
  });

const shots: { type: 'Shot'; id: number }[] = [];
for (const code of ['a', 'b', 'c']) {
  shots.push({ type: 'Shot', id: (await site.create('Shot', { code, project })).id });
}

test('paging info comes with or without counts, as asked', async () => {
  const counted = await readShots({ ...page(2, 1), return_paging_info: true });
  assert.deepEqual(counted.paging_info, {
    current_page: 1,
    page_count: 2,
    entity_count: 3,
    entities_per_page: 2,
  });
  const none = await readShots({ ...page(2, 1), return_paging_info: true, return_only: 'retired' });
  assert.deepEqual(none.paging_info, {
    current_page: 0,
    page_count: 0,
    entity_count: 0,
    entities_per_page: 2,
  });
  const first = await readShots({ ...page(2, 1), return_paging_info_without_counts: true });
  assert.deepEqual(first.paging_info, { current_page: 1, entities_per_page: 2, has_next_page: true });
  const last = await readShots({ ...page(3, 1), return_paging_info_without_counts: true });
  assert.deepEqual(last.paging_info, { current_page: 1, entities_per_page: 3, has_next_page: false });
  const beyond = await readShots(page(3, 2));
  assert.deepEqual(beyond.entities, []);
  await assert.rejects(
    readShots(page(0, 1)),
    /API read\(\) invalid\/missing integer 'paging' 'entities_per_page':\n/,
  );
});

test('a sort that is none is refused', async () => {
  for (const sort of [null, 7, 'code'])
    await assert.rejects(readShots({ ...page(2, 1), sorts: [sort] }), (error: Fault) => error.code === 103);
});

test('events are read like any type, their entity as it is now', async () => {
  const from = await site.lastEventId();
  const shot = await site.create('Shot', { code: 'gone', project });
  const made = await site.find('EventLogEntry', [
    ['entity', 'is', { type: 'Shot', id: shot.id }],
    ['event_type', 'is', 'Shotgun_Shot_New'],
  ]);
  assert.equal(made.length, 1);
  await site.call('delete', { type: 'Shot', id: shot.id });
  const events = await site.events(from);
  assert.ok(events.every((event) => event.entity === null));
  assert.ok(events.every((event) => event.meta.entity_id === shot.id));
  await site.call('revive', { type: 'Shot', id: shot.id });
  assert.ok((await site.events(from)).every((event) => event.entity.id === shot.id));
  const newest = await site.find('EventLogEntry', [['project', 'is', project]], ['event_type'], {
    sorts: [{ field_name: 'id', direction: 'desc' }],
    ...page(2, 1),
  });
  assert.ok((newest[0]?.id ?? 0) > (newest[1]?.id ?? 0));
  await assert.rejects(site.find('EventLogEntry', [['meta', 'is', 1]]), /cannot be used in a filter/);
});

test('scripts add entries of their own to the log, and nobody changes one', async () => {
  const from = await site.lastEventId();
  const values = {
    event_type: 'Pipeline_Farm_Done',
    description: 'done',
    meta: { frames: 3 },
    entity: shots[0],
    project,
  };
  const made = await site.create('EventLogEntry', values);
  const [event] = await site.events(from);
  assert.equal(event?.id, made.id);
  assert.equal(event?.event_type, 'Pipeline_Farm_Done');
  assert.deepEqual(event?.meta, { frames: 3 });
  const return_fields = ['created_at', 'user', 'project.Project.name', 'image'];
  const fields = fieldItems({ event_type: 'Pipeline_Farm_Begun', project });
  const shown = (await site.call('create', { type: 'EventLogEntry', fields, return_fields })) as object;
  assert.deepEqual(
    Object.keys(shown).sort(),
    ['event_type', 'id', 'project', 'type', ...return_fields].sort(),
  );
  const before = await site.lastEventId();
  const batch = [
    { request_type: 'create', type: 'EventLogEntry', fields: fieldItems({ event_type: 'Pipeline_Never' }) },
    { request_type: 'delete', type: 'Shot', id: 999_999 },
  ];
  await assert.rejects(site.call('batch', batch), /request with index 1 failed/);
  assert.equal(await site.lastEventId(), before, 'an entry of a batch that fails is never there');
  await assert.rejects(site.update('EventLogEntry', made.id, { description: 'x' }), /read only/);
  await assert.rejects(
    site.create('EventLogEntry', { event_type: 'X', created_at: '2026-01-01' }),
    /read only/,
  );
});

test('$FROM$ looks back along links', async () => {
  const task = await site.create('Task', {
    content: 'anim',
    project,
    entity: shots[1],
    sg_status_list: 'ip',
  });
  const path = '$FROM$Task.entity.sg_status_list';
  const found = await site.find('Shot', [
    ['project', 'is', project],
    [path, 'is', 'ip'],
  ]);
  assert.deepEqual(
    found.map((shot) => shot.id),
    [shots[1]?.id],
  );
  const others = await site.find('Shot', [
    ['project', 'is', project],
    [path, 'is_not', 'ip'],
    ['code', 'in', 'a', 'b', 'c'],
  ]);
  assert.deepEqual(
    others.map((shot) => shot.id),
    [shots[0]?.id, shots[2]?.id],
  );
  const byEvent = await site.find('Task', [
    ['$FROM$EventLogEntry.entity.event_type', 'is', 'Shotgun_Task_New'],
    ['project', 'is', project],
  ]);
  assert.deepEqual(
    byEvent.map((row) => row.id),
    [task.id],
  );
  await assert.rejects(site.find('Shot', [['$FROM$Nope.entity.id', 'is', 1]]), /doesn't exist/);
});

test('presets keep the latest', async () => {
  const version = async (shot: object | undefined, code: string): Promise<number> =>
    (await site.create('Version', { code, project, entity: shot })).id;
  await version(shots[0], 'v1');
  const second = await version(shots[0], 'v2');
  const other = await version(shots[1], 'v1');
  const ask = async (preset: unknown, type = 'Version'): Promise<number[]> => {
    const rows = await site.find(type, [['project', 'is', project]], ['id'], {
      additional_filter_presets: preset,
    });
    return rows.map((row) => row.id);
  };
  assert.deepEqual(await ask([{ preset_name: 'LATEST', latest_by: 'ENTITIES_CREATED_AT' }]), [second, other]);
  const cut = await site.create('Cut', { code: 'c', project, revision_number: 1 });
  const newer = await site.create('Cut', { code: 'c', project, revision_number: 2 });
  assert.deepEqual(await ask([{ preset_name: 'LATEST', latest_by: 'REVISION_NUMBER' }], 'Cut'), [newer.id]);
  await site.create('CutItem', { code: 'i', project, cut, shot: shots[1] });
  assert.deepEqual(await ask([{ preset_name: 'CUT_SHOT_VERSIONS', cut_id: cut.id }]), [other]);
  const isBad = (error: Fault) => error.code === 103;
  await assert.rejects(ask([{}]), isBad);
  await assert.rejects(ask([{ preset_name: 'BAD_FILTER' }]), isBad);
  await assert.rejects(ask([{ preset_name: 'LATEST', latest_by: 'ENTITY_CREATED_AT' }]), isBad);
  await assert.rejects(ask(3), isBad);
  await assert.rejects(ask(null), isBad);
});

test('an id, a span of ids or a link leads to the rows without a walk, with the same answer', async () => {
  const some = shots.slice(0, 2);
  const ids = some.map((shot) => shot.id);
  const idsOf = async (...conditions: Parameters<typeof site.find>[1][number][]): Promise<number[]> =>
    (await site.find('Shot', conditions)).map((row) => row.id);
  assert.deepEqual(await idsOf(['id', 'in', ...ids, 999_999]), ids);
  assert.deepEqual(await idsOf(['id', 'between', ids[0], ids[1]]), ids);
  assert.deepEqual(await idsOf(['id', 'is', null]), []);
  assert.deepEqual(await idsOf(['project', 'is', project], ['code', 'in', 'a', 'b']), ids);
  await site.update('Shot', ids[0] ?? 0, { project: { type: 'Project', id: 1 } });
  assert.deepEqual(await idsOf(['project', 'is', project], ['code', 'in', 'a', 'b']), [ids[1]]);
  const either = {
    logical_operator: 'or',
    conditions: [
      { path: 'id', relation: 'is', values: [ids[0]] },
      { path: 'code', relation: 'is', values: ['b'] },
    ],
  };
  const rows = await site.find('Shot', [], ['id'], { filters: either });
  assert.ok(ids.every((id) => rows.some((row) => row.id === id)));
});

test('the site has pages, of its own and of its projects', async () => {
  const own = await site.find('Page', [['project', 'is', null]], ['name', 'entity_type']);
  assert.deepEqual(
    own.map((found) => found['name']),
    ['All Shots', 'All Assets', 'All Versions'],
  );
  const first = await site.first('Project', []);
  const ofProject = await site.find(
    'Page',
    [['project', 'is', first]],
    ['entity_type', 'project.Project.id'],
  );
  assert.deepEqual(
    ofProject.map((found) => [found['entity_type'], found['project.Project.id']]),
    [
      ['Shot', first.id],
      ['Asset', first.id],
      ['Version', first.id],
    ],
  );
});

test('a span that is longer than the calendar takes all that lies on its side', async () => {
  const all = await site.find('Shot', [['project', 'is', project]]);
  assert.ok(all.length > 0);
  for (const unit of ['HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR']) {
    const past = await site.find('Shot', [
      ['project', 'is', project],
      ['created_at', 'in_last', Number.MAX_SAFE_INTEGER, unit],
    ]);
    assert.deepEqual(past, all);
  }
});

test('what nests a hundred thousand levels deep is refused, wherever it is', async () => {
  const depth = 100_000;
  const leaf = (values: string): string =>
    `{"logical_operator":"and","conditions":[{"path":"code","relation":"in","values":${values}}]}`;
  for (const [filters, fault] of [
    [`${'{"logical_operator":"and","conditions":['.repeat(depth)}${']}'.repeat(depth)}`, /nested too deeply/],
    [leaf('['.repeat(depth) + ']'.repeat(depth)), /nested too deeply/],
  ] as const) {
    const reply = await fetch(`${site.url}/api3/json`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"method_name":"read","params":[${JSON.stringify(SCRIPT)},{"type":"Shot","return_fields":[],"filters":${filters}}]}`,
    });
    assert.equal(reply.status, 200);
    assert.match(((await reply.json()) as { message: string }).message, fault);
  }
});
