import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '@understudy/harness/until';
import { CHANGES_SINCE, MARKED, SNAPSHOT } from '@understudy/store/change-marks';
import { pino } from 'pino';
import { createChangeWatch } from './change-watch.ts';

/** PostgreSQL by hand: statements wait until they are answered. */
function byHand() {
  const waiting: {
    readonly name: string;
    readonly since: unknown;
    answer(text: string): void;
    fail(): void;
  }[] = [];
  const statements = {
    losses: 0,
    texts: (statement: { name: string }, values: readonly unknown[]): Promise<readonly string[]> =>
      new Promise((resolve, reject) => {
        if (statement.name === MARKED.name) {
          resolve(['site."task"', 'site."shot"']);
          return;
        }
        waiting.push({
          name: statement.name,
          since: values[0],
          answer: (text) => resolve([text]),
          fail: () => reject(new Error('away')),
        });
      }),
  };
  const next = () => until('a look is under way', () => waiting.shift());
  const nobody = { query: () => Promise.reject(new Error('not asked')) };
  const watch = createChangeWatch(statements, nobody as never, pino({ level: 'silent' }));
  return { statements, watch, waiting, next };
}

test('a look that is under way is not joined: the next begins after it, for all who came meanwhile', async () => {
  const { watch, waiting, next } = byHand();
  const early = [watch.look(), watch.look()];
  const first = await next();
  const late = [watch.look(), watch.look(), watch.look()];
  assert.equal(waiting.length, 0);
  first.answer('5:5:');
  assert.deepEqual(await Promise.all(early), [1, 1]);
  const second = await next();
  assert.equal(second.since, '5:5:');
  second.answer('6:6: site."shot"');
  assert.deepEqual(await Promise.all(late), [2, 2, 2]);
  assert.equal(watch.isChangedSince(['site."shot"'], 1), true);
  assert.equal(watch.isChangedSince(['site."shot"'], 2), false);
  assert.equal(watch.isChangedSince(['site."task"'], 1), false);
});

test('after a look that failed, or a connection that was lost, everything counts as changed', async () => {
  const { statements, watch, next } = byHand();
  const look = async (text: string | null): Promise<number> => {
    const looking = watch.look();
    const one = await next();
    if (text === null) one.fail();
    else one.answer(text);
    return looking;
  };
  assert.equal(await look('5:5:'), 1);
  assert.equal(watch.isChangedSince(['site."task"'], 1), false);
  await assert.rejects(look(null));
  assert.equal(watch.isChangedSince(['site."task"'], 1), true);
  assert.equal(await look('6:6:'), 2);
  assert.equal(watch.isChangedSince(['site."task"'], 1), true);
  assert.equal(watch.isChangedSince(['site."task"'], 2), false);
  statements.losses += 1;
  assert.equal(watch.isChangedSince(['site."task"'], 2), true);
  assert.equal(await look('7:7:'), 3);
  assert.equal(watch.isChangedSince(['site."task"'], 2), true);
  assert.equal(watch.isChangedSince(['site."task"'], 3), false);
});

test('a look that finds marks forgotten, or begins before a reset, counts everything as changed', async () => {
  const { watch, next } = byHand();
  const look = async (text: string, meanwhile = (): void => {}): Promise<number> => {
    const looking = watch.look();
    const one = await next();
    meanwhile();
    one.answer(text);
    return looking;
  };
  await look('100:100:');
  assert.equal(watch.covers(['site."task"', 'site."shot"']), true);
  assert.equal(watch.covers(['site."task"', 'site."note"']), false);
  assert.equal(await look('200:200: <90'), 2);
  assert.equal(watch.isChangedSince(['site."task"'], 1), false);
  assert.equal(await look('300:300: <201'), 3);
  assert.equal(watch.isChangedSince(['site."task"'], 2), true);
  assert.equal(watch.isChangedSince(['site."task"'], 3), false);
  assert.equal(await look('400:400:', () => watch.reset()), 4);
  assert.equal(watch.isChangedSince(['site."task"'], 4), true);
  assert.equal(await look('500:500:'), 5);
  assert.equal(watch.isChangedSince(['site."task"'], 4), true);
  assert.equal(watch.isChangedSince(['site."task"'], 5), false);
});

test('while no transaction ends a look asks for no marks, and for those since the last one as soon as one has', async () => {
  const { statements, watch, next } = byHand();
  const asked: string[] = [];
  const look = async (...answers: readonly string[]): Promise<number> => {
    const looking = watch.look();
    for (const text of answers) {
      const one = await next();
      asked.push(`${one.name} ${String(one.since ?? '')}`.trim());
      one.answer(text);
    }
    return looking;
  };
  await look('5:5:');
  await look('5:5:');
  assert.equal(await look('5:5:'), 3);
  assert.equal(watch.isChangedSince(['site."task"'], 1), false);
  assert.equal(await look('6:6:', '7:7: site."task"'), 4);
  assert.equal(watch.isChangedSince(['site."task"'], 3), true);
  assert.equal(watch.isChangedSince(['site."task"'], 4), false);
  // Where one ended lately, others are likely to.
  assert.equal(await look('7:7:'), 5);
  assert.equal(await look('7:7:'), 6);
  assert.equal(watch.isChangedSince(['site."task"'], 4), false);
  // What another connection sees tells nothing.
  const looking = watch.look();
  const one = await next();
  statements.losses += 1;
  one.answer('7:7:');
  (await next()).answer('7:7:');
  assert.equal(await looking, 7);
  assert.equal(watch.isChangedSince(['site."task"'], 6), true);
  assert.deepEqual(asked, [
    `${CHANGES_SINCE.name}`,
    `${CHANGES_SINCE.name} 5:5:`,
    SNAPSHOT.name,
    SNAPSHOT.name,
    `${CHANGES_SINCE.name} 5:5:`,
    `${CHANGES_SINCE.name} 7:7:`,
    SNAPSHOT.name,
  ]);
});
