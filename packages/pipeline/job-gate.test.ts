import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobGate } from './job-gate.ts';

test('jobs pass while it is open, wait while it is shut, and go on when it opens', async () => {
  const gate = new JobGate();
  await gate.pass();
  gate.shut();
  const passed: number[] = [];
  const waiting = [1, 2].map((job) => gate.pass().then(() => passed.push(job)));
  await new Promise(setImmediate);
  assert.deepEqual(passed, []);
  gate.open();
  await Promise.all(waiting);
  assert.deepEqual(passed, [1, 2]);
});

test('one that is shut again before a job went on holds it back', async () => {
  const gate = new JobGate();
  gate.shut();
  let hasPassed = false;
  const waiting = gate.pass().then(() => {
    hasPassed = true;
  });
  gate.open();
  gate.shut();
  await new Promise(setImmediate);
  assert.equal(hasPassed, false);
  gate.open();
  await waiting;
});

test('jobs that are held back fail when it is closed, and those that come later pass', async () => {
  const gate = new JobGate();
  gate.shut();
  const held = assert.rejects(gate.pass(), /ends while it is paused/);
  gate.close();
  await held;
  gate.shut();
  await gate.pass();
});
