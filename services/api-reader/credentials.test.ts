import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthenticationFault, SiteUnavailable } from '@understudy/site-client/faults';
import { type AskSite, createCredentials } from './credentials.ts';
import { createSiteReach } from './site-reach.ts';

const SCRIPT = { script_name: 'pipeline', script_key: 'key' };
const REFUSED = new AuthenticationFault("Can't authenticate script 'pipeline'", 102);
const AWAY = new SiteUnavailable('away');

/** Credentials over a site whose answers and clock a test sets. */
function setUp(options: { servesUsers?: boolean; ttlMs?: number } = {}) {
  const state = { clockMs: 0, asked: 0, answer: (async () => ({ answer: 'local' })) as AskSite };
  const reach = createSiteReach();
  const credentials = createCredentials({
    ask: (auth, identity) => {
      state.asked += 1;
      return state.answer(auth, identity);
    },
    reach,
    ttlMs: options.ttlMs ?? 60_000,
    graceMs: 3_600_000,
    servesUsers: options.servesUsers ?? false,
    now: () => state.clockMs,
  });
  return { state, reach, credentials };
}

test('the site is asked once within the time, whoever asks and whatever the session', async () => {
  const { state, credentials } = setUp();
  const sessions = ['a', 'b', 'c'].map((uuid) => ({ ...SCRIPT, session_uuid: uuid }));
  for (const verdict of await Promise.all(sessions.map((auth) => credentials.check(auth))))
    assert.deepEqual(verdict, { answer: 'local' });
  await credentials.check({ script_key: 'key', script_name: 'pipeline' });
  assert.equal(state.asked, 1);
});

test('another key, name or extra part is another credential', async () => {
  const { state, credentials } = setUp();
  await credentials.check(SCRIPT);
  await credentials.check({ ...SCRIPT, script_key: 'other' });
  await credentials.check({ ...SCRIPT, script_name: 'other' });
  await credentials.check({ ...SCRIPT, product: 'rv' });
  assert.equal(state.asked, 4);
});

test('a credential is asked about ahead of time, and a revoked one stops within it', async () => {
  const { state, credentials } = setUp();
  await credentials.check(SCRIPT);
  state.answer = async () => {
    throw REFUSED;
  };
  state.clockMs = 31_000;
  assert.deepEqual(await credentials.check(SCRIPT), { answer: 'local' });
  assert.equal(state.asked, 2);
  await assert.rejects(async () => credentials.check(SCRIPT), REFUSED);
  state.clockMs = 61_000;
  await assert.rejects(async () => credentials.check(SCRIPT), REFUSED);
});

test('one that nobody used for longer than the time is asked about first', async () => {
  const { state, credentials } = setUp();
  await credentials.check(SCRIPT);
  state.clockMs = 60_000;
  state.answer = async () => {
    throw REFUSED;
  };
  await assert.rejects(async () => credentials.check(SCRIPT), REFUSED);
});

test('while the site is away, what it accepted is believed for the grace and no longer', async () => {
  const { state, reach, credentials } = setUp();
  await credentials.check(SCRIPT);
  state.answer = async () => {
    reach.failed();
    throw AWAY;
  };
  state.clockMs = 3_000_000;
  assert.deepEqual(await credentials.check(SCRIPT), { answer: 'local' });
  assert.deepEqual(await credentials.check(SCRIPT), { answer: 'local' });
  assert.equal(state.asked, 2, 'known to be away, it is not asked each time');
  await assert.rejects(async () => credentials.check({ ...SCRIPT, script_key: 'new' }), AWAY);
  state.clockMs = 3_600_000;
  await assert.rejects(async () => credentials.check(SCRIPT), AWAY);
});

test('a refused credential has no grace', async () => {
  const { state, reach, credentials } = setUp({ ttlMs: 0 });
  await credentials.check(SCRIPT);
  state.answer = async () => {
    throw REFUSED;
  };
  await assert.rejects(async () => credentials.check(SCRIPT), REFUSED);
  reach.failed();
  state.answer = async () => {
    throw AWAY;
  };
  await assert.rejects(async () => credentials.check(SCRIPT), AWAY);
});

test('forgotten ones are asked about again', async () => {
  const { state, credentials } = setUp();
  await credentials.check(SCRIPT);
  credentials.forget(SCRIPT);
  await credentials.check(SCRIPT);
  assert.equal(state.asked, 2);
});

test('people, sessions, sudo and nobody are the site’s to answer, without a question', async () => {
  const { state, credentials } = setUp();
  const user = { user_login: 'ada', user_password: 'p' };
  for (const [auth, reason] of [
    [user, 'user'],
    [{ session_token: 't' }, 'session'],
    [{ ...SCRIPT, sudo_as_login: 'ada' }, 'sudo'],
    [{ ...SCRIPT, script_key: { deep: [] } }, 'credentials'],
    [{ script_name: null }, 'credentials'],
    [{ user_login: 'ada', user_password: 'p', auth_token: '123456' }, 'user'],
    [{}, 'credentials'],
    [null, 'credentials'],
  ] as const)
    assert.deepEqual(await credentials.check(auth), { answer: 'site', reason });
  assert.equal(state.asked, 0);
});

test('people are asked about where some rule sets are listed', async () => {
  const { state, credentials } = setUp({ servesUsers: true });
  state.answer = async (_auth, identity) => {
    assert.deepEqual(identity, { kind: 'user', name: 'ada', sudoAsLogin: null });
    return { answer: 'site', reason: 'user' };
  };
  const auth = { user_login: 'ada', user_password: 'p' };
  assert.deepEqual(await credentials.check(auth), { answer: 'site', reason: 'user' });
  assert.equal(state.asked, 1);
});

test('whoever sudo or a session stands for is asked about as well', async () => {
  const { state, credentials } = setUp({ servesUsers: true });
  for (const auth of [
    { ...SCRIPT, sudo_as_login: 'ada' },
    { session_token: 't' },
    { session_token: 't', sudo_as_login: 'ada' },
  ])
    assert.deepEqual(await credentials.check(auth), { answer: 'local' });
  assert.equal(state.asked, 3);
});

test('a credential of two kinds is the site’s to judge: which of them it looks at is not known', async () => {
  const { state, credentials } = setUp({ servesUsers: true });
  for (const more of [
    { session_token: 'token' },
    { user_login: 'admin', user_password: 'wrong' },
    { user_password: 'wrong' },
  ])
    assert.deepEqual(await credentials.check({ ...SCRIPT, ...more }), {
      answer: 'site',
      reason: 'credentials',
    });
  const person = { user_login: 'ada', user_password: 'password', session_token: 'token' };
  assert.deepEqual(await credentials.check(person), { answer: 'site', reason: 'credentials' });
  assert.equal(state.asked, 0);
  assert.deepEqual(await credentials.check({ ...SCRIPT, session_token: null }), { answer: 'local' });
});

test('a one-time code is never used up by a question', async () => {
  const { state, credentials } = setUp({ servesUsers: true });
  const auth = { user_login: 'ada', user_password: 'p', auth_token: '123456' };
  assert.deepEqual(await credentials.check(auth), { answer: 'site', reason: 'one-time-code' });
  assert.equal(state.asked, 0);
});
