import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RowBytes } from './row-bytes.ts';

test('gives the first rows between two texts, and each as it came', () => {
  const rows = new RowBytes();
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'binary', maxLength: 5_000 }), { maxLength: 30 }),
      fc.nat(31),
      (texts, count) => {
        rows.clear();
        for (const text of texts) {
          const chunk = Buffer.from(`<${text}>`);
          rows.add(chunk, 1, chunk.length - 1);
        }
        assert.equal(rows.count, texts.length);
        assert.deepEqual(rows.texts(), texts);
        assert.equal(rows.between('[', ']', count).toString(), `[${texts.slice(0, count).join(',')}]`);
      },
    ),
  );
});

test('what was given stays as it is when other rows come', () => {
  const rows = new RowBytes();
  rows.add(Buffer.from('one'), 0, 3);
  const given = rows.between('(', ')', 1);
  rows.clear();
  rows.add(Buffer.from('two'), 0, 3);
  assert.equal(given.toString(), '(one)');
});
