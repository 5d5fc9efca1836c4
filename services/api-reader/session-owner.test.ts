import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownerIn } from './session-owner.ts';

const replyWith = (payload: unknown): string => {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return JSON.stringify({
    token_type: 'Bearer',
    access_token: `${part({ alg: 'HS256' })}.${part(payload)}.sig`,
  });
};

test('the access token says whose a session is', () => {
  assert.deepEqual(ownerIn(replyWith({ user: { type: 'HumanUser', id: 24 }, sudo_as_login: null })), {
    type: 'HumanUser',
    id: 24,
  });
  assert.deepEqual(ownerIn(replyWith({ user: { type: 'ApiUser', id: 3 } })), { type: 'ApiUser', id: 3 });
});

test('what says anything else names nobody', () => {
  for (const reply of [
    '',
    'null',
    '<html>',
    '{"access_token": 7}',
    '{"access_token": "a.b.c"}',
    replyWith(null),
    replyWith({ user: { type: 'ClientUser', id: 3 } }),
    replyWith({ user: { type: 'HumanUser', id: '3' } }),
    replyWith({ user: { type: 'HumanUser', id: 3 }, sudo_as_login: 'ada' }),
  ])
    assert.equal(ownerIn(reply), null, reply);
});
