import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityOf } from './identity.ts';

test('a login beats a script, which beats a session', () => {
  const all = {
    session_token: 't',
    script_name: 's',
    script_key: 'k',
    user_login: 'ada',
    user_password: 'p',
  };
  assert.deepEqual(identityOf(all), { kind: 'user', name: 'ada', sudoAsLogin: null });
  const { user_login: _login, user_password: _password, ...scriptAndSession } = all;
  assert.deepEqual(identityOf(scriptAndSession), { kind: 'script', name: 's', sudoAsLogin: null });
  assert.deepEqual(identityOf({ session_token: 't' }), { kind: 'session', name: null, sudoAsLogin: null });
  assert.equal(identityOf({}).kind, 'none');
  assert.equal(identityOf(null).kind, 'none');
});

test('whatever is given as sudo is another identity', () => {
  const script = { script_name: 's', script_key: 'k' };
  assert.equal(identityOf({ ...script, sudo_as_login: 'ada' }).sudoAsLogin, 'ada');
  assert.notEqual(identityOf({ ...script, sudo_as_login: { login: 'ada' } }).sudoAsLogin, null);
  assert.notEqual(identityOf({ ...script, sudo_as_login: '' }).sudoAsLogin, null);
  assert.equal(identityOf({ ...script, sudo_as_login: null }).sudoAsLogin, null);
});

test('no secret is part of an identity', () => {
  const auth = { script_name: 's', script_key: 'SECRET', session_token: 'SECRET', user_password: 'SECRET' };
  assert.doesNotMatch(JSON.stringify(identityOf(auth)), /SECRET/);
});

test('names are the request’s own, not of a prototype', () => {
  const polluted = JSON.parse('{"__proto__": {"script_name": "x", "script_key": "y"}}');
  assert.equal(identityOf(polluted).kind, 'none');
});
