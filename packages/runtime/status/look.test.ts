import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLook } from './look.ts';

test('one question is under way, however many ask', async () => {
  let asked = 0;
  const answer = Promise.withResolvers<string>();
  const look = createLook(
    () => {
      asked += 1;
      return answer.promise;
    },
    { timeoutMs: 20 },
  );
  const first = await Promise.all([look(), look()]);
  const second = await look();
  assert.ok(first.every((seen) => !seen.ok && /no answer in 20 ms/.test(seen.error.message)));
  assert.equal(second.ok, false);
  assert.equal(asked, 1);
  answer.resolve('late');
  assert.deepEqual(await look(), { ok: true, value: 'late' });
  assert.equal(asked, 1);
});

test('a failure is told and then asked again', async () => {
  const answers = [Promise.reject(new Error('refused')), Promise.resolve('there')];
  for (const answer of answers) answer.catch(() => {});
  const look = createLook(() => answers.shift() ?? Promise.reject(new Error('asked too often')), {
    freshMs: 0,
  });
  const seen = await look();
  assert.ok(!seen.ok && seen.error.message === 'refused');
  assert.deepEqual(await look(), { ok: true, value: 'there' });
});
