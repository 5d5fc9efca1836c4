import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holderName, instanceName } from './heartbeat.ts';

test('two of one name hold leases by two names', () => {
  const [one, other] = [holderName(), holderName()];
  assert.notEqual(one, other);
  for (const name of [one, other]) assert.ok(name.startsWith(`${instanceName()} `), name);
});
