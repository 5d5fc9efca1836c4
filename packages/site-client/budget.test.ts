import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { localBudget, PRIORITIES, type Priority } from './budget.ts';

const rank = (priority: Priority): number => PRIORITIES.indexOf(priority);

test('places go to the most urgent, first come first served among equals, never more than allowed', async () => {
  /** Callers come, give up or finish in any order. */
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('come' as const), priority: fc.constantFrom(...PRIORITIES) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('finish' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('give up' as const), which: fc.nat() }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(step, { maxLength: 60 }),
      async (concurrency, steps) => {
        const budget = localBudget({ concurrency });
        // What should be, kept in the plainest way.
        let waiting: { readonly caller: number; readonly priority: Priority }[] = [];
        let holding: number[] = [];
        const grant = (): void => {
          while (holding.length < concurrency && waiting.length > 0) {
            const next = waiting.reduce((best, other) =>
              rank(other.priority) < rank(best.priority) ? other : best,
            );
            waiting = waiting.filter((item) => item !== next);
            holding.push(next.caller);
          }
        };
        // What is.
        const places = new Map<number, { release(): void }>();
        const refused = new Set<number>();
        const aborts: AbortController[] = [];
        const gaveUp = new Set<number>();

        for (const action of steps) {
          if (action.do === 'come') {
            const caller = aborts.length;
            const abort = new AbortController();
            aborts.push(abort);
            budget.acquire(action.priority, abort.signal).then(
              (place) => places.set(caller, place),
              () => refused.add(caller),
            );
            waiting.push({ caller, priority: action.priority });
          } else if (action.do === 'finish' && holding.length > 0) {
            const caller = holding[action.which % holding.length] as number;
            const place = places.get(caller);
            place?.release();
            place?.release();
            places.delete(caller);
            holding = holding.filter((other) => other !== caller);
          } else if (action.do === 'give up' && waiting.length > 0) {
            const { caller } = waiting[action.which % waiting.length] as { caller: number };
            aborts[caller]?.abort(new Error('gave up'));
            gaveUp.add(caller);
            waiting = waiting.filter((item) => item.caller !== caller);
          }
          grant();
          await turn();
          assert.deepEqual([...places.keys()].sort(), [...holding].sort());
          assert.ok(places.size <= concurrency);
          assert.deepEqual([...refused].sort(), [...gaveUp].sort());
        }
        // Whoever still waits gets a place once the others finish: nobody is forgotten.
        while (holding.length > 0) {
          const caller = holding[0] as number;
          places.get(caller)?.release();
          places.delete(caller);
          holding = holding.slice(1);
          grant();
          await turn();
          assert.deepEqual([...places.keys()].sort(), [...holding].sort());
        }
        assert.equal(waiting.length, 0);
      },
    ),
    { numRuns: 200 },
  );
});

test('a client waits for one place at most, however long the scan behind it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 50 }),
      async (concurrency, scans) => {
        const budget = localBudget({ concurrency });
        const held: { release(): void }[] = [];
        for (let n = 0; n < concurrency; n += 1) held.push(await budget.acquire('scan'));
        let scansGranted = 0;
        for (let n = 0; n < scans; n += 1) {
          void budget.acquire('scan').then(() => {
            scansGranted += 1;
          });
        }
        const client = budget.acquire('client');
        held[0]?.release();
        await client;
        assert.equal(scansGranted, 0);
      },
    ),
    { numRuns: 50 },
  );
});

test('whoever gives up gets no place, and one who has it keeps it until released', async () => {
  const budget = localBudget({ concurrency: 1 });
  const abort = new AbortController();
  const first = await budget.acquire('scan', abort.signal);
  const second = budget.acquire('client', abort.signal);
  abort.abort(new Error('gave up'));
  await assert.rejects(second, /gave up/);
  await assert.rejects(budget.acquire('client', abort.signal), /gave up/);
  let granted = false;
  const third = budget.acquire('audit').then(() => {
    granted = true;
  });
  await turn();
  assert.equal(granted, false);
  first.release();
  await third;
});

test('a budget that would never grant is refused', () => {
  for (const concurrency of [0, -1, 1.5, Number.NaN])
    assert.throws(() => localBudget({ concurrency }), RangeError);
});
