import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { expireGaps, fillGaps, type Gap, newGaps } from './gap-tracker.ts';

const idsOf = (gaps: readonly Gap[]): number[] =>
  gaps
    .flatMap((gap) => Array.from({ length: gap.last - gap.first + 1 }, (_, index) => gap.first + index))
    .sort((a, b) => a - b);

test('whatever the order and size of polls, an id is either seen or in a gap, never both', () => {
  const order = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(order, fc.integer({ min: 1, max: 8 }), (arrivals, batchSize) => {
      let gaps: readonly Gap[] = [];
      let through = 0;
      const visible = new Set<number>();
      const seen = new Set<number>();
      for (let at = 0; at < arrivals.length; at += 3) {
        for (const id of arrivals.slice(at, at + 3)) visible.add(id);
        const missing = idsOf(gaps).filter((id) => visible.has(id));
        gaps = fillGaps(gaps, missing);
        for (const id of missing) seen.add(id);
        const fresh = [...visible]
          .filter((id) => id > through)
          .sort((a, b) => a - b)
          .slice(0, batchSize);
        gaps = [...gaps, ...newGaps(through, fresh, at)];
        through = fresh.at(-1) ?? through;
        for (const id of fresh) seen.add(id);
        const open = new Set(idsOf(gaps));
        for (let id = 1; id <= through; id += 1) assert.notEqual(seen.has(id), open.has(id), `id ${id}`);
        assert.ok([...open].every((id) => id <= through));
      }
    }),
  );
});

test('a gap is open until its time is over', () => {
  const gaps = [{ first: 3, last: 5, seenAt: 1_000 }];
  assert.deepEqual(expireGaps(gaps, 1_999, 1_000), { open: gaps, expired: [] });
  assert.deepEqual(expireGaps(gaps, 2_000, 1_000), { open: [], expired: gaps });
});
