import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NONE, PRIORITIES } from '@understudy/site-client/budget';
import fc from 'fast-check';
import { allocate, type Demand } from './allocate.ts';
import { refill, take } from './rate.ts';

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, n) => total + n, 0);
const wants = fc.record({
  client: fc.nat(12),
  poll: fc.nat(2),
  refresh: fc.nat(6),
  scan: fc.nat(12),
  audit: fc.nat(6),
});
const demands = fc
  .array(fc.record({ wants, spare: fc.nat(3) }), { maxLength: 8 })
  .map((all) => all.map((one, index): Demand => ({ holder: `h${index}`, ...one })));

test('all get what they want where there is enough, never more, and together never more than there is', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), demands, (concurrency, all) => {
      const given = allocate(concurrency, all);
      const total = sum(given.values());
      const wanted = sum(all.map((one) => sum(Object.values(one.wants))));
      assert.ok(total <= concurrency);
      assert.ok(total >= Math.min(concurrency, wanted), 'no place is left while somebody wants it');
      for (const one of all)
        assert.ok((given.get(one.holder) ?? 0) <= sum(Object.values(one.wants)) + one.spare);
    }),
  );
});

test('clients come before scans, whatever the scans want', () => {
  const of = (concurrency: number): ReadonlyMap<string, number> =>
    allocate(concurrency, [
      { holder: 'reader', wants: { ...NONE, client: 20 }, spare: 2 },
      { holder: 'scanner', wants: { ...NONE, scan: 20 }, spare: 0 },
      { holder: 'scanner 2', wants: { ...NONE, scan: 20, audit: 9 }, spare: 0 },
    ]);
  assert.equal(of(4).get('reader'), 4);
  // With many places scans keep one, so that they end some day.
  assert.equal(of(8).get('reader'), 7);
});

test('places are kept ready for clients while scans want everything', () => {
  const given = allocate(8, [
    { holder: 'reader', wants: NONE, spare: 2 },
    { holder: 'scanner', wants: { ...NONE, scan: 50 }, spare: 0 },
  ]);
  assert.deepEqual([given.get('reader'), given.get('scanner')], [2, 6]);
});

test('starts are given by priority and the less urgent leave some for the others', () => {
  fc.assert(
    fc.property(wants, fc.double({ min: 0.5, max: 100, noNaN: true }), (wanted, rate) => {
      const full = refill({ starts: 0, at: 0 }, rate, 60_000, 0);
      const { given, bucket } = take(full, rate, wanted);
      assert.ok(bucket.starts >= 0 && sum(Object.values(given)) <= full.starts);
      for (const priority of PRIORITIES) assert.ok(given[priority] <= wanted[priority]);
      assert.ok(given.client >= Math.min(wanted.client, Math.floor(full.starts)));
      // Even the least urgent gets something of a full bucket when nobody else wants it.
      assert.ok(take(full, rate, { ...NONE, audit: 1 }).given.audit === 1);
    }),
  );
});
