import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from './entity.ts';
import { keptJson, UNKEPT } from './kept-text.ts';

test('JSON that can be kept stays the very same', () => {
  const values: readonly Json[] = [
    null,
    0,
    '',
    'a\ufffd😀\u2028',
    ['x', { y: [true] }],
    { 'ü"\\': '\u0001' },
  ];
  for (const value of values) assert.equal(keptJson(value), value);
});

test('NUL and halves of surrogate pairs are marked, in values and in keys, and nothing else is changed', () => {
  assert.equal(keptJson('a\0b'), `a${UNKEPT}b`);
  const marked = keptJson<Json>({ a: ['\ud83d', '😀', 1], 'k\0': { b: '\udc00', c: 'kept \ufffd' } });
  assert.deepEqual(marked, {
    a: [UNKEPT, '😀', 1],
    [`k${UNKEPT}`]: { b: UNKEPT, c: 'kept \ufffd' },
  });
});
