import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headlineOf } from './headline.ts';
import type { SystemStatus } from './system-status.ts';

const MAX_LAG_MS = 60_000;
const SERVICES = ['event-poller', 'applier', 'scanner', 'retirement-reprocessor', 'api-reader'].map(
  (service) => ({
    service,
    instance: 'here:1',
    version: '1',
    state: 'running',
    silentMs: 500,
  }),
);
const REPORT: NonNullable<SystemStatus['report']> = {
  watermark: { polledThrough: 9, appliedThrough: 9, lastPollAt: new Date(), lagMs: 800 },
  services: SERVICES,
  gaps: { open: 0, ids: 0 },
  events: { waiting: 0, parked: 0, stored: 9 },
  refreshes: { waiting: 0, failing: 0 },
  scans: [],
  lastScans: [],
  reprocesses: [],
  drift: { compared: 0, different: 0, share: null, lastAt: null },
  servedTypes: [],
};
const GOOD: SystemStatus = {
  at: new Date(),
  database: { state: 'there', reason: null },
  queue: { state: 'there', reason: null, backend: 'redis' },
  report: REPORT,
  generation: null,
  queues: [{ queue: 'events', waiting: 3, active: 1, delayed: 0, failed: 0, completed: 4 }],
};
const say = (change: Partial<NonNullable<SystemStatus['report']>>): ReturnType<typeof headlineOf> =>
  headlineOf({ ...GOOD, report: { ...REPORT, ...change } }, MAX_LAG_MS);

test('all well', () => {
  assert.deepEqual(headlineOf(GOOD, MAX_LAG_MS), {
    level: 'ok',
    text: 'The replica is up to date',
    notes: [],
  });
});

test('what is away is said, and the worst comes first', () => {
  const headline = headlineOf(
    {
      ...GOOD,
      database: { state: 'away', reason: 'refused' },
      queue: { state: 'away', reason: 'no answer', backend: 'redis' },
      report: null,
      queues: null,
    },
    MAX_LAG_MS,
  );
  assert.equal(headline.level, 'problem');
  assert.match(headline.notes[0]?.text ?? '', /^PostgreSQL is away \(refused\)/);
  assert.match(headline.notes[1]?.text ?? '', /^The queue in Redis is away/);
  const parkedAndBehind = say({
    events: { waiting: 0, parked: 1, stored: 9 },
    watermark: { polledThrough: 9, appliedThrough: 9, lastPollAt: null, lagMs: 61_000 },
  });
  assert.deepEqual(
    parkedAndBehind.notes.map((note) => note.level),
    ['problem', 'warning'],
  );
});

test('a service counts as missing only when no instance of it lives', () => {
  const dead = { service: 'applier', instance: 'here:0', version: '1', state: 'running', silentMs: 99_000 };
  assert.equal(say({ services: [dead, ...SERVICES] }).level, 'ok');
  const without = say({ services: [dead, ...SERVICES.filter((one) => one.service !== 'applier')] });
  assert.deepEqual(without.notes, [{ level: 'problem', text: 'No applier runs.' }]);
});

test('a process that was paused when it died is no longer paused', () => {
  const paused = { service: 'applier', instance: 'here:0', version: '1', state: 'paused', silentMs: 500 };
  assert.match(say({ services: [paused, ...SERVICES] }).notes[0]?.text ?? '', /^applier is paused/);
  assert.equal(say({ services: [{ ...paused, silentMs: 99_000 }, ...SERVICES] }).level, 'ok');
});

test('a replica that was never polled is not up to date', () => {
  const headline = say({
    watermark: { polledThrough: 9, appliedThrough: 9, lastPollAt: null, lagMs: null },
  });
  assert.deepEqual(headline, {
    level: 'busy',
    text: 'Working',
    notes: [
      { level: 'busy', text: 'The site’s event log was not polled yet. Readers pass requests through.' },
    ],
  });
});

test('a full scan under way is told in percent of all its types', () => {
  const scan = { id: 1, kind: 'full', reason: 'start', rows: 10 };
  const headline = say({
    scans: [
      { ...scan, type: 'Shot', chunks: 3, chunksDone: 1 },
      { ...scan, type: 'Task', chunks: 1, chunksDone: 1 },
    ],
  });
  assert.deepEqual([headline.level, headline.notes[0]?.text], ['busy', 'A full scan is under way: 50 %.']);
});
