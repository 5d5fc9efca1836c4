import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { type Api, call, entitiesOf, type Reply, readOf, SCRIPT, startApi } from './api-rig.ts';

/** How long a verdict is believed here: short, so that a test can wait for its end. */
const TTL_MS = 300;
const OWN = { script_name: 'understudy', script_key: 'sandbox-key' };

let api: Api;
let login: string;
before(async () => {
  api = await startApi({ env: { UNDERSTUDY_READER_AUTH_TTL_MS: String(TTL_MS) } });
  const people = entitiesOf(await call(api.siteUrl, 'read', readOf('HumanUser', ['login'])));
  login = String(people[1]?.['login']);
});
after(() => api?.stop());

const SHOTS = readOf('Shot', ['code', 'project']);
const shots = (auth: object | null): Promise<Reply> => call(api.readerUrl, 'read', SHOTS, auth);
const sourceOf = (reply: Reply): unknown => reply.headers['x-understudy'];

async function setRuleSet(type: string, name: string, code: string): Promise<void> {
  const field = type === 'ApiUser' ? 'firstname' : 'login';
  const [who] = entitiesOf(await call(api.siteUrl, 'read', readOf(type, [], [[field, 'is', name]])));
  const sets = readOf('PermissionRuleSet', [], [['code', 'is', code]]);
  const [set] = entitiesOf(await call(api.siteUrl, 'read', sets));
  assert.ok(who !== undefined && set !== undefined);
  const value = { type: 'PermissionRuleSet', id: set.id };
  const payload = { type, id: who.id, fields: [{ field_name: 'permission_rule_set', value }] };
  const { json } = await call(api.siteUrl, 'update', payload, OWN);
  assert.equal(json.exception, undefined, json.message);
}

test('a script whose rule set is listed is answered from the replica', async () => {
  await until('the replica answers', async () => sourceOf(await shots(SCRIPT)) === 'replica');
});

test('a wrong key gets the site’s own refusal, and nothing else', async () => {
  for (const auth of [
    { ...SCRIPT, script_key: 'wrong' },
    { ...SCRIPT, script_key: '' },
    { script_name: "pipeline' or 'a'='a", script_key: 'pipeline-key' },
    { script_name: 'nobody', script_key: 'pipeline-key' },
    { user_login: login, user_password: 'wrong' },
    { session_token: 'not-a-session' },
    { ...SCRIPT, script_key: ['pipeline-key'] },
    {},
    null,
  ]) {
    const [ours, theirs] = await Promise.all([shots(auth), call(api.siteUrl, 'read', SHOTS, auth)]);
    assert.equal(ours.status, 200);
    assert.deepEqual(ours.json, theirs.json, JSON.stringify(auth));
    assert.equal(ours.json.error_code, 102);
  }
});

test('a script with another rule set sees only what the site shows it', async () => {
  await setRuleSet('ApiUser', 'pipeline', 'artist');
  await until('the change is noticed', async () => sourceOf(await shots(SCRIPT)) === 'site; reason=rule-set');
  assert.equal(sourceOf(await shots(OWN)), 'replica', 'the replica’s own script sees what it fetched');
  await setRuleSet('ApiUser', 'pipeline', 'api_admin');
  await until('it is trusted again', async () => sourceOf(await shots(SCRIPT)) === 'replica');
});

test('a revoked key stops within the time', async () => {
  assert.equal(sourceOf(await shots(SCRIPT)), 'replica');
  api.sandbox.faults = { ...api.sandbox.faults, revoked: ['pipeline'] };
  try {
    await until('it is refused', async () => (await shots(SCRIPT)).json.error_code === 102, {
      timeoutMs: 10 * TTL_MS,
    });
  } finally {
    api.sandbox.faults = { ...api.sandbox.faults, revoked: [] };
  }
});

test('people, sudo and sessions pass through unless their rule set is listed', async () => {
  const session = await call(api.siteUrl, 'get_session_token', undefined, {
    user_login: login,
    user_password: 'sandbox',
  });
  const token = (session.json.results as { session_id: string }).session_id;
  for (const auth of [
    { user_login: login, user_password: 'sandbox' },
    { ...SCRIPT, sudo_as_login: login },
    { session_token: token },
  ]) {
    const ours = await shots(auth);
    assert.match(String(sourceOf(ours)), /^site; reason=/);
    assert.deepEqual(ours.json, (await call(api.siteUrl, 'read', SHOTS, auth)).json);
  }
  await setRuleSet('HumanUser', login, 'api_admin');
  for (const auth of [
    { user_login: login, user_password: 'sandbox' },
    { ...SCRIPT, sudo_as_login: login },
    { session_token: token },
  ])
    await until('they are answered here', async () => sourceOf(await shots(auth)) === 'replica');
});

test('a session of a script that sees less, or one that is over, is the site’s to answer', async () => {
  const auth = { script_name: 'readonly', script_key: 'readonly-key' };
  assert.equal(sourceOf(await shots(auth)), 'site; reason=rule-set');
  const { json } = await call(api.siteUrl, 'get_session_token', undefined, auth);
  const session = { session_token: (json.results as { session_id: string }).session_id };
  assert.equal(sourceOf(await shots(session)), 'site; reason=rule-set');
  api.sandbox.sessions.clear();
  await until('it is refused', async () => (await shots(session)).json.error_code === 102);
});

test('sudo without permission is refused by the site, in its words', async () => {
  const auth = { ...SCRIPT, sudo_as_login: 'nobody-of-that-name' };
  const ours = await shots(auth);
  assert.match(String(ours.json.message), /^The user does not have permission to 'sudo':/);
  assert.equal(ours.status, 200);
});

test('whether a password is right is the site’s to say, each time', async () => {
  const read = readOf(
    'HumanUser',
    ['login'],
    [
      ['sg_status_list', 'is', 'act'],
      ['login', 'is', login],
    ],
  );
  const good = { user_login: login, user_password: 'sandbox' };
  const reply = await call(api.readerUrl, 'read', read, good);
  assert.equal(sourceOf(reply), 'site; reason=authentication');
  assert.equal(entitiesOf(reply).length, 1);
  const refused = await call(api.readerUrl, 'read', read, { ...good, user_password: 'wrong' });
  assert.equal(refused.json.error_code, 102);
});

test('fields that depend on who asks always come from the site', async () => {
  const reply = await call(api.readerUrl, 'read', readOf('Note', ['subject', 'read_by_current_user']));
  assert.equal(sourceOf(reply), 'site; reason=per-user');
});

test('no key, password or token is ever logged', async () => {
  await shots({ ...SCRIPT, script_key: 'SECRET-A' });
  await shots({ user_login: login, user_password: 'SECRET-B' });
  await shots({ session_token: 'SECRET-C', extra: 'SECRET-D' });
  const lines = api.logged.join('');
  assert.doesNotMatch(lines, /SECRET|sandbox-key|pipeline-key/);
  assert.match(lines, new RegExp(`"user":"${login}"`));
  assert.match(lines, /"script":"pipeline"/);
  assert.match(lines, new RegExp(`"sudoAsLogin":"${login}"`));
});

test('while the site is away, who was seen lately reads on, and nobody else', async () => {
  assert.equal(sourceOf(await shots(SCRIPT)), 'replica');
  const infoBefore = await call(api.readerUrl, 'info', undefined, null);
  assert.ok(Array.isArray(infoBefore.json['version']));
  api.sandbox.faults = { ...api.sandbox.faults, outage: true };
  try {
    await until('the time is over', async () => {
      const unknown = await shots({ ...SCRIPT, script_key: 'never-seen' });
      return unknown.status === 503;
    });
    assert.match(String(sourceOf(await shots(SCRIPT))), /^replica/);
    const info = await call(api.readerUrl, 'info', undefined, null);
    assert.equal(sourceOf(info), 'replica; reason=info');
    assert.deepEqual(info.json, infoBefore.json, 'clients that start now find the site’s versions');
  } finally {
    api.sandbox.faults = { ...api.sandbox.faults, outage: false };
  }
});
