import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { type CallSummary, createCallLog } from './call-log.ts';
import { createMetrics } from './metrics.ts';

test('a call that is like others is logged and counted as any other', async () => {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(line, _encoding, done) {
      const { level: _level, time: _time, pid: _pid, hostname: _host, ...said } = JSON.parse(String(line));
      lines.push(said);
      done();
    },
  });
  const registry = new Registry();
  const nothing = { current: () => null } as never;
  const metrics = createMetrics(registry, nothing, { given: 0 }, { found: 0 });
  const log = pino(sink);
  const calls = createCallLog(log, metrics);
  const summary: CallSummary = {
    method: 'read',
    type: 'Shot',
    identity: { kind: 'script', name: 'p'.repeat(150), sudoAsLogin: 'ada' },
  };
  calls.told('id-1', 1.26, { source: 'replica', reason: null, status: 200 }, summary);
  calls.toldAlike('id-2', 20.04, summary);
  calls.toldAlike('id-3', 3_000, summary);
  calls.told('id-4', 5, { source: 'site', reason: 'lag', status: 502 }, { ...summary, method: 'invented' });
  assert.equal(lines.length, 4);
  const [told, alike, third, site] = lines;
  assert.deepEqual(told, {
    requestId: 'id-1',
    ms: 1.3,
    method: 'read',
    type: 'Shot',
    script: `${'p'.repeat(100)}…`,
    sudoAsLogin: 'ada',
    source: 'replica',
    reason: null,
    status: 200,
    msg: 'call',
  });
  assert.deepEqual(alike, { ...told, requestId: 'id-2', ms: 20 });
  assert.deepEqual(third, { ...told, requestId: 'id-3', ms: 3_000 });
  assert.deepEqual(site, {
    ...told,
    requestId: 'id-4',
    ms: 5,
    method: 'invented',
    source: 'site',
    reason: 'lag',
    status: 502,
  });
  for (const _again of [1, 2]) {
    const text = await registry.metrics();
    assert.match(text, /calls_total\{method="read",source="replica",reason="none"\} 3$/m);
    assert.match(text, /calls_total\{method="other",source="site",reason="lag"\} 1$/m);
    assert.match(text, /call_seconds_bucket\{le="0.025",method="read",source="replica"\} 2$/m);
    assert.match(text, /call_seconds_count\{method="read",source="replica"\} 3$/m);
  }
  log.level = 'warn';
  calls.told('id-5', 1, { source: 'replica', reason: null, status: 200 }, summary);
  calls.toldAlike('id-6', 1, summary);
  assert.equal(lines.length, 4, 'the level is lower');
  log.level = 'info';
  calls.toldAlike('id-7', 1, summary);
  calls.told('id-8', 1, { source: 'replica', reason: null, status: 200 }, summary);
  assert.deepEqual(
    lines.slice(4).map(({ requestId }) => requestId),
    ['id-7', 'id-8'],
  );
});
