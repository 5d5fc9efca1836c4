import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '@understudy/harness/until';
import { Fault, filtersOf, SCRIPT, startTestSite } from './test-site.ts';

const site = await startTestSite();
const person = (login: string, more: object = {}): object => ({
  user_login: login,
  user_password: 'sandbox',
  ...more,
});
const refusedWith = (code: number, message: string | RegExp) => (error: unknown) => {
  assert.ok(error instanceof Fault);
  assert.equal(error.code, code);
  if (typeof message === 'string') assert.equal(error.message, message);
  else assert.match(error.message, message);
  return true;
};
const findShots = (auth: object) => site.find('Shot', [], ['code'], {}, auth);

test('scripts and people are known by their keys, and refused in the site’s words', async () => {
  assert.ok((await findShots({ ...SCRIPT, product: 'rv', unknown: { nested: 1 } })).length > 0);
  assert.ok((await findShots(person('user1'))).length > 0);
  await assert.rejects(
    findShots({ script_name: 'pipeline', script_key: 'wrong' }),
    refusedWith(102, "Can't authenticate script 'pipeline'"),
  );
  await assert.rejects(
    findShots({ script_name: 'constructor', script_key: 'x' }),
    refusedWith(102, /constructor/),
  );
  await assert.rejects(
    findShots(person('user1', { user_password: 'x' })),
    refusedWith(102, "Can't authenticate user 'user1'."),
  );
  await assert.rejects(
    findShots({ session_token: 'abcdefgh' }),
    refusedWith(102, "Can't authenticate session token ending with 'efgh'"),
  );
  // A login beats a script.
  await assert.rejects(findShots({ ...SCRIPT, ...person('nobody') }), refusedWith(102, /user 'nobody'/));
});

test('a second factor, single sign-on and Autodesk Identity have codes of their own', async () => {
  await site.admin('/faults', { twoFactor: ['user1'] });
  await assert.rejects(findShots(person('user1')), refusedWith(106, /./));
  await assert.rejects(findShots(person('user1', { auth_token: '000000' })), refusedWith(102, /user1/));
  assert.ok((await findShots(person('user1', { auth_token: '123456' }))).length > 0);
  await site.admin('/faults', { twoFactor: [], sso: true });
  await assert.rejects(findShots(person('user1')), refusedWith(108, /./));
  assert.equal((await site.call('info', undefined, null)).user_authentication_method, 'saml2');
  await site.admin('/faults', { sso: false, identity: true });
  await assert.rejects(findShots(person('user1')), refusedWith(110, /./));
  await site.admin('/faults', { identity: false });
});

test('a session is its user’s, ends unused, and with its user’s access', async () => {
  const { session_id: token } = await site.call('get_session_token', undefined, person('user1'));
  const session = { session_token: token, reject_if_expired: true };
  const shot = await site.first('Shot', []);
  const from = await site.lastEventId();
  await site.update('Shot', shot.id, { description: 'by session' }, session);
  const user = await site.first('HumanUser', [['login', 'is', 'user1']]);
  assert.equal((await site.events(from))[0]?.user.id, user.id);
  await site.admin('/faults', { revoked: ['user1'] });
  await assert.rejects(findShots(session), refusedWith(102, /session token ending/));
  await site.admin('/faults', { revoked: [], sessionLifetimeMs: 1 });
  await until('the session has expired', async () => {
    const outcome = await findShots(session).catch((error: Fault) => error.code);
    return outcome === 102;
  });
  assert.ok((await findShots({ session_token: token })).length > 0, 'renewed where it is not to be rejected');
  await site.admin('/faults', { sessionLifetimeMs: 3_600_000 });
});

test('the uuid of a session is in the events that its calls make, as any uuid is written', async () => {
  const shot = await site.first('Shot', []);
  const from = await site.lastEventId();
  const uuids = ['0B2F3C2E-6A51-4D0F-8F1C-0F3B6A0F9D12', 'no uuid', ''];
  for (const session_uuid of uuids)
    await site.update('Shot', shot.id, { description: `by <${session_uuid}>` }, { ...SCRIPT, session_uuid });
  const events = await site.events(from);
  assert.deepEqual(
    events.map((event) => event.session_uuid),
    [uuids[0]?.toLowerCase(), null, null],
  );
});

test('sudo is for those who may, and the event tells who it was', async () => {
  const shot = await site.first('Shot', []);
  const user = await site.first('HumanUser', [['login', 'is', 'user1']]);
  const from = await site.lastEventId();
  const sudo = { ...SCRIPT, sudo_as_login: 'user1', session_uuid: '0b2f3c2e-6a51-4d0f-8f1c-0f3b6a0f9d11' };
  await site.update('Shot', shot.id, { description: 'by sudo' }, sudo);
  const [event] = await site.events(from);
  assert.equal(event?.user.id, user.id);
  assert.equal(event?.meta.sudo_actual_user.type, 'ApiUser');
  assert.equal(event?.session_uuid, sudo.session_uuid);
  const row = await site.first('Shot', [['id', 'is', shot.id]], ['updated_by']);
  assert.equal(row.updated_by.id, user.id);
  await assert.rejects(
    findShots(person('user1', { sudo_as_login: 'admin' })),
    refusedWith(104, /^The user does not have permission to 'sudo':/),
  );
});

test('a script whose logging is off writes without events', async () => {
  const quiet = { script_name: 'quiet', script_key: 'quiet-key' };
  const shot = await site.first('Shot', []);
  const from = await site.lastEventId();
  await site.update('Shot', shot.id, { description: 'unheard' }, quiet);
  assert.equal(await site.lastEventId(), from);
  assert.equal((await site.first('Shot', [['id', 'is', shot.id]], ['description'])).description, 'unheard');
});

test('a client sees its own projects alone, and not every field', async () => {
  const client = person('user4');
  const user = await site.first('HumanUser', [['login', 'is', 'user4']]);
  const mine = await site.create('Project', { name: 'Of the client', users: [user] });
  const project = { type: 'Project', id: mine.id };
  const shot = await site.create('Shot', { code: 'seen', project, sg_bid_cost: 5 });
  const rows = await site.find('Shot', [], ['code', 'sg_bid_cost'], {}, client);
  assert.deepEqual(rows, [{ type: 'Shot', id: shot.id, code: 'seen' }]);
  const seen = await site.find('Project', [['users', 'is', user]], ['id']);
  assert.deepEqual(await site.find('Project', [], ['id'], {}, client), seen);
  await assert.rejects(
    site.find('Shot', [['sg_bid_cost', 'is', 5]], [], {}, client),
    refusedWith(103, /Shot.sg_bid_cost doesn't exist/),
  );
  await assert.rejects(site.find('EventLogEntry', [], [], {}, client), refusedWith(103, /EventLogEntry/));
  const count = { type: 'Shot', summaries: [{ field: 'id', type: 'count' }], filters: filtersOf([]) };
  assert.equal((await site.call('summarize', count, client)).summaries.id, 1);
  await assert.rejects(site.update('Shot', shot.id, { code: 'x' }, client), refusedWith(104, /by this user/));
  const note = await site.create('Note', { subject: 'n', project, note_links: [shot] }, client);
  assert.ok(note.id > 0);
});

test('an artist does not delete, a reading script does not write', async () => {
  const shot = await site.first('Shot', []);
  await assert.rejects(
    site.call('delete', { type: 'Shot', id: shot.id }, person('user1')),
    refusedWith(104, /^API delete\(\) CRUD ERROR #4.1: .* can not be deleted by this user. Rule: artist/),
  );
  await assert.rejects(
    site.update('Shot', shot.id, { code: 'x' }, { script_name: 'readonly', script_key: 'readonly-key' }),
    refusedWith(104, /Rule: api_reader/),
  );
  const payload = { type: 'Shot', field_name: 'sg_shot_type' };
  await assert.rejects(
    site.call('schema_field_delete', payload, person('user1')),
    refusedWith(104, /not permitted/),
  );
});
