import assert from 'node:assert/strict';
import { test } from 'node:test';
import { subjectsOf, writeRequests } from './write-requests.ts';

const FIELDS = [
  { field_name: 'code', value: 'sh_010' },
  { field_name: 'project', value: { type: 'Project', id: 1, name: 'Aurora' } },
  { field_name: 'assets', value: [{ type: 'Asset', id: 9 }, 'x'], multi_entity_update_mode: 'add' },
];

test('a create names its fields and what they link to; its id comes with the answer', () => {
  const requests = writeRequests('create', { type: 'Shot', fields: FIELDS });
  assert.deepEqual(requests, [
    {
      kind: 'create',
      type: 'Shot',
      id: null,
      fields: ['code', 'project', 'assets'],
      links: [
        { type: 'Project', id: 1 },
        { type: 'Asset', id: 9 },
      ],
      relinks: true,
    },
  ]);
  const made = [{ type: 'Shot', id: 77 }];
  assert.deepEqual(subjectsOf('create', requests, { type: 'Shot', id: 77, code: 'sh_010' }), made);
  assert.deepEqual(subjectsOf('create', requests, [{ type: 'Shot', id: 77 }]), made);
  assert.deepEqual(subjectsOf('create', requests, undefined), []);
});

test('the parts of a batch are matched with its results', () => {
  const requests = writeRequests('batch', [
    { request_type: 'create', type: 'Shot', fields: FIELDS },
    { request_type: 'delete', type: 'Task', id: 5 },
    { request_type: 'update', type: 'Task', id: 5, fields: [] },
    'nonsense',
    { request_type: 'explode', type: 'Task', id: 6 },
    { request_type: 'create', type: 'Asset', fields: [] },
  ]);
  const results = [
    { type: 'Shot', id: 77 },
    true,
    { type: 'Task', id: 5 },
    null,
    null,
    { type: 'Asset', id: 8 },
  ];
  assert.deepEqual(subjectsOf('batch', requests, results), [
    { type: 'Shot', id: 77 },
    { type: 'Task', id: 5 },
    { type: 'Asset', id: 8 },
  ]);
  assert.deepEqual(
    subjectsOf('batch', requests, undefined),
    [{ type: 'Task', id: 5 }],
    'the answer was lost',
  );
});

test('malformed payloads name nothing', () => {
  for (const payload of [
    undefined,
    null,
    [],
    'x',
    { type: 1, id: 2 },
    JSON.parse('{"__proto__":{"type":"Shot"}}'),
  ])
    assert.deepEqual(subjectsOf('update', writeRequests('update', payload), null), []);
  assert.deepEqual(writeRequests('batch', { 0: {} }), []);
});
