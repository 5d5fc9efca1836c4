import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOtherWrite, namedIn } from './other-writes.ts';

test('every entity that a payload names is found, of any shape', () => {
  const user = { type: 'HumanUser', id: 3 };
  const entity = { type: 'Shot', id: 7 };
  assert.deepEqual(namedIn({ user, entity: { ...entity, name: 'sh_010' } }), [user, entity]);
  assert.deepEqual(namedIn([{ list: [entity] }]), [entity]);
  assert.deepEqual(namedIn({ users: [{ humanUserId: 3, subscription: 'x' }] }), [user]);
  for (const nothing of [undefined, null, 7, 'Shot', {}, { type: 'Shot', id: '7' }, { date: '2026-01-01' }])
    assert.deepEqual(namedIn(nothing), []);
});

test('what nests deeply, or names very many, is looked at so far', () => {
  let deep: object = { type: 'Shot', id: 1 };
  for (let level = 0; level < 900; level += 1) deep = { deep };
  assert.deepEqual(namedIn(deep), []);
  assert.ok(namedIn(Array.from({ length: 100_000 }, (_, id) => ({ type: 'Shot', id }))).length <= 501);
});

test('reads, and what changes nothing that is kept, are no writes', () => {
  for (const method of ['read', 'followers', 'get_session_token', 'export_page'])
    assert.ok(!isOtherWrite(method));
  for (const method of ['follow', 'unfollow', 'work_schedule_update', 'a_method_of_tomorrow'])
    assert.ok(isOtherWrite(method));
});
