import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restSubjects, restWrites } from './rest-writes.ts';

const TYPES = ['Shot', 'HumanUser', 'Status', 'TimeLog', 'Delivery', 'PlaylistVersionConnection'];
const writes = (method: string, path: string, body: unknown = null): ReturnType<typeof restWrites> =>
  restWrites(method, path, Buffer.from(JSON.stringify(body)), TYPES);

test('the path names the type and the entity, in every spelling', () => {
  for (const [path, type] of [
    ['/api/v1/entity/shots/7', 'Shot'],
    ['/api/v1.1/entity/Shot/7', 'Shot'],
    ['/api/v1/entity/human_users/7?x=1', 'HumanUser'],
    ['/api/v1/entity/statuses/7', 'Status'],
    ['/api/v1/entity/deliveries/7', 'Delivery'],
    ['/api/v1/entity/playlist_version_connections/7', 'PlaylistVersionConnection'],
  ] as const)
    assert.deepEqual(
      writes('PUT', path).map(({ kind, type: named, id }) => [kind, named, id]),
      [['update', type, 7]],
      path,
    );
});

test('an update names its fields and what they link to', () => {
  const project = { type: 'Project', id: 1 };
  const [request] = writes('PUT', '/api/v1/entity/shots/7', {
    code: 'x',
    project,
    assets: { multi_entity_update_mode: 'add', value: [{ type: 'Asset', id: 2 }] },
  });
  assert.deepEqual(request?.fields, ['code', 'project', 'assets']);
  assert.deepEqual(request.links, [project, { type: 'Asset', id: 2 }]);
});

test('creates, deletes, revivals, uploads and batches', () => {
  const kinds = (...given: Parameters<typeof writes>): unknown =>
    writes(...given).map(({ kind, type, id }) => `${kind} ${type} ${id}`);
  assert.deepEqual(kinds('POST', '/api/v1/entity/shots', { code: 'x' }), ['create Shot null']);
  assert.deepEqual(kinds('DELETE', '/api/v1/entity/shots/7'), ['delete Shot 7']);
  assert.deepEqual(kinds('POST', '/api/v1/entity/shots/7?revive=1'), ['revive Shot 7']);
  assert.deepEqual(kinds('POST', '/api/v1/entity/shots/7/image/_upload'), ['update Shot 7']);
  const batch = {
    requests: [
      { request_type: 'create', entity: 'Shot', data: { code: 'x' } },
      { request_type: 'delete', entity: 'TimeLog', record_id: 3 },
      { request_type: 'drop', entity: 'Shot' },
      null,
    ],
  };
  assert.deepEqual(kinds('POST', '/api/v1/entity/_batch', batch), ['create Shot null', 'delete TimeLog 3']);
});

test('what only reads, or is of types that are not kept, changes nothing', () => {
  for (const [method, path] of [
    ['GET', '/api/v1/entity/shots/7'],
    ['POST', '/api/v1/entity/shots/_search'],
    ['POST', '/api/v1/entity/shots/_summarize'],
    ['POST', '/api/v1/entity/_text_search'],
    ['POST', '/api/v1/auth/access_token'],
    ['PUT', '/api/v1/entity/no_such_types/7'],
    ['PUT', '/api/v1/entity/__proto__/7'],
  ] as const)
    assert.deepEqual(writes(method, path), [], path);
});

test('the reply names what was made', () => {
  const requests = writes('POST', '/api/v1/entity/shots', {});
  const reply = Buffer.from(JSON.stringify({ data: { id: 9, type: 'Shot', attributes: {} } }));
  assert.deepEqual(restSubjects(requests, reply), [{ type: 'Shot', id: 9 }]);
  const batch = Buffer.from(
    JSON.stringify({ data: [{ data: { id: 9, type: 'Shot' } }, { id: 8, type: 'Shot' }] }),
  );
  assert.deepEqual(restSubjects([], batch), [
    { type: 'Shot', id: 9 },
    { type: 'Shot', id: 8 },
  ]);
  assert.deepEqual(restSubjects(requests, Buffer.from('<html>')), []);
  const attributes = { path: { url: 'https://x', type: 'Attachment', id: 4 } };
  const withFile = Buffer.from(JSON.stringify({ data: { id: 9, type: 'Shot', attributes } }));
  assert.deepEqual(restSubjects(requests, withFile), [
    { type: 'Shot', id: 9 },
    { type: 'Attachment', id: 4 },
  ]);
});
