import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Json } from '@understudy/domain/entity';
import {
  type Api,
  call,
  entitiesOf,
  type Reply,
  readOf,
  SCRIPT,
  startApi,
  startTestSite,
} from './api-rig.ts';

/**
 * What the official client sends for each of its calls, replayed in one order through a reader and directly to a twin of
 * its site, from the same seed: every reply must be the same, value for value, the time of a write and the random
 * parts of tokens aside.
 */
let api: Api;
let twin: Awaited<ReturnType<typeof startTestSite>>;
const began = Date.now() - 5_000;

before(async () => {
  api = await startApi();
  twin = await startTestSite();
});
after(async () => {
  await api?.stop();
  await twin?.close();
});

const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d/;
const TOKEN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A reply with what differs from run to run named instead. */
function comparable(value: unknown, hosts: readonly string[]): unknown {
  if (typeof value === 'string') {
    if (TIME.test(value) && Date.parse(value.replace(' UTC', 'Z')) >= began) return '(now)';
    if (TOKEN.test(value)) return '(token)';
    return hosts.reduce((text, host) => text.replaceAll(host, '(host)'), value);
  }
  if (Array.isArray(value)) return value.map((item) => comparable(item, hosts));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, comparable(item, hosts)]));
}

interface Both {
  readonly ours: Reply;
  readonly results: Json;
}

/** Where counts were not asked for, only one thing in `paging_info` is known, and read by clients (protocol §3.2). */
function withoutCounts(body: unknown, payload: unknown): unknown {
  const { results } = body as { readonly results?: { readonly paging_info?: object } };
  if (results?.paging_info === undefined || (payload as { return_paging_info?: true }).return_paging_info)
    return body;
  const { has_next_page } = results.paging_info as { readonly has_next_page?: boolean };
  return { results: { ...results, paging_info: { has_next_page } } };
}

/** Makes a call on both and compares. @returns the reader's reply. */
async function both(method: string, payload?: unknown, auth: object | null = SCRIPT): Promise<Both> {
  const [ours, theirs] = await Promise.all([
    call(api.readerUrl, method, payload, auth),
    call(twin.url, method, payload, auth),
  ]);
  assert.equal(ours.status, theirs.status, `${method}: ${ours.text}`);
  assert.equal(ours.headers['content-type'], theirs.headers['content-type']);
  if (!/json/.test(String(ours.headers['content-type']))) assert.equal(ours.text, theirs.text);
  const said = `${method} ${JSON.stringify(payload)} (${String(ours.headers['x-understudy'])})`;
  assert.deepEqual(
    comparable(withoutCounts(ours.json, payload), [api.readerUrl, api.siteUrl]),
    comparable(withoutCounts(theirs.json, payload), [twin.url]),
    said,
  );
  return { ours, results: ours.json.results ?? null };
}

const isFromReplica = ({ ours }: Both): void => {
  assert.match(String(ours.headers['x-understudy']), /^replica/);
};

const idOf = (results: Json): number => (results as { readonly id: number }).id;
const field = (field_name: string, value: Json, multi_entity_update_mode?: string): object => ({
  field_name,
  value,
  ...(multi_entity_update_mode === undefined ? {} : { multi_entity_update_mode }),
});
const byId = (type: string, id: number, fields: readonly string[], more: object = {}): object =>
  readOf(type, fields, [['id', 'is', id]], {
    paging: { entities_per_page: 1, current_page: 1 },
    return_paging_info_without_counts: false,
    ...more,
  });

const PROJECT = { type: 'Project', id: 1 };
const SHOT_FIELDS = ['code', 'project', 'sg_sequence', 'assets', 'tasks', 'sg_status_list', 'created_by'];

test('find: everything, pages, limits, orders, retired, archived, any and nested filters', async () => {
  const page = (entities_per_page: number, current_page: number): object => ({
    paging: { entities_per_page, current_page },
  });
  for (const payload of [
    readOf('Shot', SHOT_FIELDS),
    readOf('Shot', ['id']),
    readOf('Task', ['content', 'entity', 'step', 'task_assignees', 'due_date', 'duration'], [], page(7, 1)),
    readOf('Task', ['content'], [], page(7, 2)),
    readOf('Task', ['content'], [], page(7, 99)),
    readOf('Shot', ['code'], [['sg_status_list', 'in', 'ip', 'fin']], {
      sorts: [
        { field_name: 'code', direction: 'desc' },
        { field_name: 'id', direction: 'asc' },
      ],
    }),
    readOf('Shot', ['code'], [], { return_only: 'retired' }),
    readOf('Shot', ['code', 'project.Project.archived'], [], { include_archived_projects: false }),
    readOf('Shot', ['code'], [['project', 'is', { ...PROJECT, name: 'any' }]]),
    readOf('Shot', ['code'], [['id', 'in']]),
    readOf('Version', ['code', 'entity', 'user', 'sg_task'], [['entity', 'type_is', 'Shot']]),
    readOf('HumanUser', ['name', 'login', 'groups'], [['name', 'contains', 'é']]),
    readOf('Shot', ['code'], [], {
      filters: {
        logical_operator: 'or',
        conditions: [
          { path: 'sg_status_list', relation: 'is', values: ['ip'] },
          {
            logical_operator: 'and',
            conditions: [
              { path: 'code', relation: 'contains', values: ['10'] },
              { path: 'sg_sequence.Sequence.code', relation: 'is_not', values: [null] },
            ],
          },
        ],
      },
    }),
  ])
    await both('read', payload);
  isFromReplica(await both('read', readOf('Shot', SHOT_FIELDS)));
});

test('find: with counts, as clients of older sites ask', async () => {
  const { return_paging_info_without_counts: _flag, ...payload } = readOf('Shot', ['code']) as Record<
    string,
    unknown
  >;
  await both('read', { ...payload, return_paging_info: true });
});

test('find_one: dotted fields, none found, unknown fields', async () => {
  for (const payload of [
    byId('Task', 1, [
      'content',
      'entity.Shot.code',
      'entity.Shot.sg_sequence.Sequence.code',
      'project.Project.name',
    ]),
    byId('Shot', 99_999, ['code']),
    byId('Shot', 1, [
      'code',
      'no_such_field',
      'sg_sequence.Sequence.no_such_field',
      'code',
      'id',
      'type',
      '*',
    ]),
  ])
    await both('read', payload);
});

test('find: what the site refuses, it refuses in the same words', async () => {
  for (const payload of [
    readOf('Shot', ['code'], [['no_such_field', 'is', 1]]),
    readOf('Shot', ['code'], [['code', 'no_such_relation', 'x']]),
    readOf('Shot', ['code'], [['code', 'is', 7]]),
    readOf('Shot', ['code'], [['project', 'is', 7]]),
    readOf('NoSuchType', ['code']),
    readOf('Version', ['code'], [['sg_uploaded_movie', 'is', null]]),
    readOf('Shot', ['code'], [], { paging: { entities_per_page: 0, current_page: 1 } }),
    readOf('Version', ['code'], [], { additional_filter_presets: [{ preset_name: 'NO_SUCH' }] }),
    readOf('Shot', ['code'], [], { filters: { logical_operator: 'xor', conditions: [] } }),
    {},
  ])
    await both('read', payload);
});

test('create, read, update in each mode, delete, revive: each step, and what it does to others', async () => {
  const created = await both('create', {
    type: 'Shot',
    fields: [field('project', PROJECT), field('code', 'made here'), field('description', 'a < b é  ')],
    return_fields: ['id', 'project.Project.name'],
  });
  const id = idOf(created.results);
  const look = async (): Promise<void> => {
    isFromReplica(
      await both('read', byId('Shot', id, [...SHOT_FIELDS, 'description', 'created_at', 'updated_by'])),
    );
    await both('read', readOf('Asset', ['code', 'shots'], [['id', 'in', 1, 2, 3]]));
    await both('read', byId('Shot', id, ['code'], { return_only: 'retired' }));
  };
  await look();
  const asset = (number: number): Json => ({ type: 'Asset', id: number });
  for (const change of [
    field('description', 'second'),
    field('assets', [asset(1), asset(2)]),
    field('assets', [asset(3), asset(3), asset(2)], 'add'),
    field('assets', [asset(1)], 'remove'),
    field('assets', [asset(1)], 'set'),
    field('sg_status_list', 'fin'),
    field('description', null),
  ]) {
    await both('update', { type: 'Shot', id, fields: [change] });
    await look();
  }
  for (const method of ['delete', 'delete', 'revive', 'revive']) {
    await both(method, { type: 'Shot', id });
    await look();
  }
});

test('what links to an entity shows the link again at once when it is revived', async () => {
  const { results } = await both('create', {
    type: 'Shot',
    fields: [field('project', PROJECT), field('code', 'comes and goes')],
    return_fields: ['id'],
  });
  const shot = { type: 'Shot', id: idOf(results) };
  const task = await both('create', {
    type: 'Task',
    fields: [field('project', PROJECT), field('content', 'stays'), field('entity', shot)],
    return_fields: ['id'],
  });
  const version = await both('create', {
    type: 'Version',
    fields: [field('project', PROJECT), field('code', 'goes with it'), field('entity', shot)],
    return_fields: ['id'],
  });
  const look = async (): Promise<void> => {
    const taskFields = ['content', 'entity', 'entity.Shot.code'];
    isFromReplica(await both('read', byId('Task', idOf(task.results), taskFields)));
    for (const return_only of ['active', 'retired'])
      await both('read', byId('Version', idOf(version.results), ['code', 'entity'], { return_only }));
    await both('read', readOf('Task', ['content'], [['entity', 'is', shot]]));
  };
  for (const method of ['delete', 'revive', 'revive']) {
    await both(method, shot);
    // What is written to it while its target is away is fetched without the link.
    if (method === 'delete')
      await both('update', { type: 'Task', id: idOf(task.results), fields: [field('content', 'alone')] });
    await look();
  }
});

test('writes that the site refuses change nothing', async () => {
  for (const [method, payload] of [
    ['create', { type: 'Shot', fields: [field('code', 'no project')] }],
    ['create', { type: 'Shot', fields: [field('project', PROJECT), field('no_such_field', 1)] }],
    ['update', { type: 'Shot', id: 1, fields: [field('sg_status_list', 'no such status')] }],
    ['update', { type: 'Shot', id: 99_999, fields: [field('code', 'x')] }],
    ['update', { type: 'Shot', id: 1, fields: [field('created_at', '2026-01-01T00:00:00Z')] }],
    ['delete', { type: 'Shot', id: 99_999 }],
    ['revive', { type: 'Shot', id: 99_999 }],
    ['create', {}],
    ['update', { type: 'NoSuchType', id: 1, fields: [] }],
    ['no_such_method', { type: 'Shot' }],
  ] as const) {
    const { ours } = await both(method, payload);
    assert.equal(ours.json.exception, true, method);
  }
  await both('read', readOf('Shot', SHOT_FIELDS));
});

test('batch: all or nothing, each part answered in its place', async () => {
  const { results } = await both('batch', [
    {
      request_type: 'create',
      type: 'Shot',
      fields: [field('project', PROJECT), field('code', 'b')],
      return_fields: ['id'],
    },
    { request_type: 'update', type: 'Shot', id: 1, fields: [field('description', 'of a batch')] },
    { request_type: 'delete', type: 'Shot', id: 2 },
  ]);
  const made = idOf((results as readonly Json[])[0] ?? null);
  await both('batch', [
    {
      request_type: 'create',
      type: 'Task',
      fields: [field('project', PROJECT), field('content', 't'), field('entity', { type: 'Shot', id: made })],
      return_fields: ['id'],
    },
  ]);
  await both('batch', [
    { request_type: 'update', type: 'Shot', id: 1, fields: [field('description', 'never')] },
    { request_type: 'update', type: 'Shot', id: 99_999, fields: [field('description', 'never')] },
  ]);
  isFromReplica(await both('read', readOf('Shot', [...SHOT_FIELDS, 'description'])));
  isFromReplica(
    await both('read', readOf('Task', ['content', 'entity'], [['entity', 'is', { type: 'Shot', id: made }]])),
  );
  await both('read', readOf('Version', ['code', 'entity']));
});

test('summarize and the schema calls', async () => {
  const filters = { logical_operator: 'and', conditions: [] };
  for (const [summaries, grouping] of [
    [[{ field: 'id', type: 'count' }], undefined],
    [[{ field: 'id', type: 'record_count' }], [{ field: 'sg_status_list', type: 'exact', direction: 'asc' }]],
    [
      [
        { field: 'cut_in', type: 'sum' },
        { field: 'cut_out', type: 'maximum' },
      ],
      [{ field: 'sg_sequence', type: 'exact', direction: 'desc' }],
    ],
  ] as const)
    await both('summarize', {
      type: 'Shot',
      summaries,
      filters,
      ...(grouping === undefined ? {} : { grouping }),
    });
  for (const payload of [undefined, { project: PROJECT }]) {
    await both('schema_read', payload);
    await both('schema_entity_read', payload);
  }
  await both('schema_field_read', { type: 'Shot' });
  await both('schema_field_read', { type: 'Shot', field_name: 'code' });
  await both('schema_field_read', { type: 'Shot', field_name: 'no_such_field' });
});

test('a field made, changed and deleted through the reader', async () => {
  const properties = [
    { property_name: 'name', value: 'Wetness' },
    { property_name: 'description', value: 'how wet' },
  ];
  const made = await both('schema_field_create', { type: 'Shot', data_type: 'text', properties });
  const name = typeof made.results === 'string' ? made.results : 'sg_wetness';
  await both('schema_field_read', { type: 'Shot', field_name: name });
  await both('schema_field_update', {
    type: 'Shot',
    field_name: name,
    properties: [{ property_name: 'name', value: 'Wet' }],
  });
  await both('schema_field_read', { type: 'Shot' });
  await both('read', byId('Shot', 1, ['code', name]));
  await both('schema_field_delete', { type: 'Shot', field_name: name });
  await both('read', byId('Shot', 1, ['code', name]));
});

test('followers, note threads, text search, activity, schedule, preferences and the rest', async () => {
  const user = { type: 'HumanUser', id: 2 };
  const entity = { type: 'Shot', id: 3 };
  for (const [method, payload] of [
    ['followers', { entity }],
    ['follow', { user, entity }],
    ['follow', { user, entity }],
    ['followers', { entity }],
    ['following', { user }],
    ['following', { user, project: PROJECT, entity_type: 'Shot' }],
    ['unfollow', { user, entity }],
    ['followers', { entity }],
    ['note_thread_contents', { note_id: 1, entity_fields: {} }],
    [
      'query_display_name_cache',
      {
        text: 'sh_10',
        entity_types: { Shot: { logical_operator: 'and', conditions: [] } },
        project_ids: [],
        max_results: null,
      },
    ],
    ['query_display_name_cache', { text: 'x', entity_types: {}, project_ids: [], max_results: null }],
    ['activity_stream', { ...entity, max_id: null, min_id: null, limit: null, entity_fields: {} }],
    [
      'work_schedule_update',
      {
        date: '2026-02-02',
        working: false,
        description: 'holiday',
        project: PROJECT,
        user: null,
        recalculate_field: null,
      },
    ],
    [
      'work_schedule_read',
      { start_date: '2026-02-01', end_date: '2026-02-03', project: PROJECT, user: null },
    ],
    ['preferences_read', { prefs: [] }],
    ['preferences_read', { prefs: ['hours_per_day', 'no_such_preference'] }],
    ['update_project_last_accessed_by_current_user', { project_id: 1, user_id: 2 }],
    ['user_subscriptions_read', undefined],
    ['nav_expand', { path: '/', seed_entity_field: 'PublishedFile.entity', entity_fields: [] }],
    ['export_page', { format: 'csv', page_id: 1, layout_name: null }],
    ['export_page', { format: 'csv', page_id: 999_999, layout_name: null }],
    ['get_session_token', undefined],
  ] as const)
    await both(method, payload);
});

test('info is the site’s, but for the marker', async () => {
  const [ours, theirs] = await Promise.all([
    call(api.readerUrl, 'info', undefined, null),
    call(twin.url, 'info', undefined, null),
  ]);
  const { understudy, ...info } = ours.json;
  assert.ok(understudy);
  assert.deepEqual(
    { ...info, s3_direct_uploads_enabled: false },
    { ...theirs.json, s3_direct_uploads_enabled: false },
  );
});

/** Sends a form to both, as the official client's uploads do (protocol §5.10), and compares the texts. */
async function bothForms(
  endpoint: string,
  fields: object,
  file?: { readonly field: string; readonly name: string; readonly bytes: string },
): Promise<string> {
  const texts = await Promise.all(
    [api.readerUrl, twin.url].map(async (url) => {
      const form = new FormData();
      for (const [name, value] of Object.entries({ ...SCRIPT, ...fields })) form.append(name, String(value));
      if (file !== undefined) form.append(file.field, new Blob([file.bytes]), file.name);
      const reply = await fetch(`${url}/upload/${endpoint}`, { method: 'POST', body: form });
      assert.equal(reply.status, 200);
      return (await reply.text())
        .replaceAll(/http:\S+/g, '(address)')
        .replaceAll(/\d{4}-\d\d-\d\dT\S+/g, '(now)')
        .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}/g, '(id)');
    }),
  );
  assert.equal(texts[0], texts[1], endpoint);
  return texts[0] ?? '';
}

test('upload: a file, a thumbnail, a filmstrip, shared ones, refusals, and what is read afterwards', async () => {
  const version = { entity_type: 'Version', entity_id: 1 };
  const movie = { field: 'file', name: 'é.mov', bytes: 'a movie' };
  const uploaded = await bothForms(
    'upload_file',
    { ...version, field_name: 'sg_uploaded_movie', display_name: 'é.mov', tag_list: 'a, b' },
    movie,
  );
  const attachment = Number(/^1:(\d+)/.exec(uploaded)?.[1]);
  await bothForms('upload_file', { entity_type: 'Note', entity_id: 1, display_name: 'note.txt' }, movie);
  const picture = { field: 'thumb_image', name: 'p.png', bytes: 'a picture' };
  await bothForms('publish_thumbnail', version, picture);
  await bothForms('publish_thumbnail', { ...version, filmstrip: 'True' }, picture);
  const shared = { entities: 'Shot_3,Asset_2', source_entity: 'Version_1', filmstrip_thumbnail: 'False' };
  await bothForms('share_thumbnail', shared);
  await bothForms('upload_file', { ...version, entity_id: 99_999, display_name: 'x' }, movie);
  await bothForms('upload_file', { ...version, field_name: 'code', display_name: 'x' }, movie);
  await bothForms('upload_file', { ...version, script_key: 'wrong', display_name: 'x' }, movie);
  const link = { upload_type: 'Attachment', filename: 'direct.mov', multipart_upload: 'False' };
  await bothForms('api_get_upload_link_info', link);
  const unsigned = (row: unknown): unknown =>
    JSON.parse(JSON.stringify(row).replaceAll(/http[^"]*\/storage\/[^"]*/g, '(signed)'));
  const [ours, theirs] = await Promise.all(
    [api.readerUrl, twin.url].map((url) =>
      call(url, 'read', byId('Version', 1, ['code', 'sg_uploaded_movie', 'image', 'filmstrip_image'])),
    ),
  );
  assert.ok(ours !== undefined && theirs !== undefined);
  const hosts = [api.readerUrl, api.siteUrl, twin.url];
  assert.deepEqual(
    comparable(unsigned(entitiesOf(ours)), hosts),
    comparable(unsigned(entitiesOf(theirs)), hosts),
  );
  await both('read', byId('Note', 1, ['subject', 'attachments']));
  await both('read', byId('Attachment', attachment, ['display_name', 'attachment_links', 'file_extension']));
  for (const url of [api.readerUrl, twin.url]) {
    const file = await fetch(`${url}/file_serve/attachment/${attachment}`);
    assert.equal(await file.text(), 'a movie');
    assert.equal((await fetch(`${url}/file_serve/attachment/99999`)).status, 400);
  }
});
