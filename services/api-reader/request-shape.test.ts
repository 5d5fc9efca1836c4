import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LARGEST, SMALLEST } from '@understudy/query/read-template';
import fc from 'fast-check';
import { createShapeOf, type RequestShape, withNumbers } from './request-shape.ts';

const shapeOf = createShapeOf();

function shape(json: string): RequestShape {
  const found = shapeOf(Buffer.from(json));
  assert.ok(found);
  return found;
}

const free = fc.integer({ min: SMALLEST, max: LARGEST });
/** JSON in which `null` is where a number shall be. */
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('5', '",5', '\\', '\\"1', '[1,2]')),
    fc.constantFrom(0, -7, 1.5, 1e21, -0.1, 10_000_000_000, true, false),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ maxLength: 4 }), tie('value'), { maxKeys: 4 }),
  ),
})).value;
const spaces = fc.constantFrom('', ' ', '\t', '\n  ');

test('requests that differ in numbers alone have one shape, and their numbers are found in order', () => {
  fc.assert(
    fc.property(value, spaces, fc.array(free, { minLength: 60, maxLength: 60 }), (json, indent, numbers) => {
      let places = 0;
      const text = (from: number): string => {
        places = 0;
        return JSON.stringify(json, null, indent).replace(/"(?:[^"\\]|\\.)*"|null/g, (token) => {
          if (token !== 'null') return token;
          places += 1;
          return `${numbers[(from + places) % numbers.length]}`;
        });
      };
      const wrapped = (from: number): string => `[${text(from)}]`;
      const [one, other] = [shape(wrapped(0)), shape(wrapped(17))];
      const expected = (from: number): number[] =>
        Array.from({ length: places }, (_, place) => numbers[(from + place + 1) % numbers.length] ?? 0);
      assert.equal(one.key, other.key);
      assert.deepEqual(one.numbers, expected(0));
      assert.deepEqual(other.numbers, expected(17));
      const moved = withNumbers(Buffer.from(wrapped(0)), one, other.numbers);
      assert.equal(moved.toString(), wrapped(17));
    }),
  );
});

test('whatever else differs makes another shape', () => {
  const texts = [
    '{"a":[5,"x"]}',
    '{"a":[5,"y"]}',
    '{"a":[5, "x"]}',
    '{"b":[5,"x"]}',
    '{"a":["5","x"]}',
    '{"a":[-5,"x"]}',
    '{"a":[0,"x"]}',
    '{"a":[5.0,"x"]}',
    '{"a":[5e0,"x"]}',
    '{"a":[05,"x"]}',
    '{"a":[1234567890,"x"]}',
    '{"a":[5,5,"x"]}',
    '{"a":[true,"x"]}',
    '{"a":[,"x"]}',
  ];
  assert.equal(new Set(texts.map((text) => shape(text).key)).size, texts.length);
});

test('a byte that JSON never has stands for no number', () => {
  assert.equal(shapeOf(Buffer.from('[\0]')), null);
  assert.equal(shapeOf(Buffer.from('["\0"]')), null);
  assert.equal(shapeOf(Buffer.from('["a\n"]')), null);
  assert.equal(shapeOf(Buffer.alloc(40_000, ' ')), null);
});

test('no two readers know a request by the same key', () => {
  assert.notEqual(createShapeOf()(Buffer.from('[1]'))?.key, shape('[1]').key);
});
