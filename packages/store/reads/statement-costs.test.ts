import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStatementCosts } from './statement-costs.ts';

test('what a statement takes is learned, also where answers come together', () => {
  const costs = createStatementCosts();
  for (let run = 0; run < 200; run += 1) costs.learn('lonely', 0.2);
  for (let run = 0; run < 200; run += 1) costs.learn('together', run % 4 === 0 ? 0.8 : 0);
  for (const name of ['lonely', 'together'])
    assert.ok(Math.abs(costs.of(name) - 0.2) < 0.1, `${costs.of(name)}`);
});

test('a process that stood still for once makes no statement a long one; one that takes long is found out', () => {
  const costs = createStatementCosts();
  for (let run = 0; run < 200; run += 1) costs.learn('quick', 0.05);
  costs.learn('quick', 5_000);
  assert.ok(costs.of('quick') < 0.15);
  for (let run = 0; run < 200; run += 1) costs.learn('quick', 30);
  assert.ok(costs.of('quick') > 10);
});

test('nothing is learned of what has no name', () => {
  const costs = createStatementCosts();
  const before = costs.of('');
  costs.learn('', 10_000);
  assert.equal(costs.of(''), before);
});
