import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seenBefore } from './seen-before.ts';

test('what was found out about bytes is remembered for the same bytes alone, and not for ever', () => {
  const looked: string[] = [];
  const find = seenBefore(
    (bytes) => {
      looked.push(bytes.toString());
      return { text: bytes.toString() };
    },
    (_found, bytes) => bytes.length > 0,
    2,
  );
  const a = find(Buffer.from('a'));
  assert.equal(find(Buffer.from('a')), a);
  assert.deepEqual(find(Buffer.from('b')), { text: 'b' });
  assert.deepEqual(looked, ['a', 'b']);
  // Asked for all the time, it stays.
  for (const other of ['c', 'd', 'e', 'f', 'g', 'h']) {
    find(Buffer.from(other));
    assert.equal(find(Buffer.from('a')), a, `after ${other}`);
  }
  find(Buffer.from('b'));
  assert.equal(looked.filter((text) => text === 'b').length, 2);
  // What is not to be kept is looked at again.
  assert.deepEqual(find(Buffer.alloc(0)), { text: '' });
  assert.deepEqual(find(Buffer.alloc(0)), { text: '' });
  assert.equal(looked.filter((text) => text === '').length, 2);
});

test('long bytes are looked at each time', () => {
  let looks = 0;
  const find = seenBefore(
    (bytes) => {
      looks += 1;
      return bytes.length;
    },
    () => true,
    10,
  );
  const long = Buffer.alloc(32_769, 'x');
  assert.equal(find(long), long.length);
  assert.equal(find(long), long.length);
  assert.equal(looks, 2);
  assert.equal(find(long.subarray(1)), long.length - 1);
  assert.equal(find(long.subarray(1)), long.length - 1);
  assert.equal(looks, 3);
});
