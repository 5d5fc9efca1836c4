import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { type QueueKind, type ServiceName, type Stack, startStack } from '@understudy/harness/stack';
import { until } from '@understudy/harness/until';

/**
 * Whatever is killed, wiped or away in the middle of live traffic, the replica converges to the site by itself:
 * `understudy verify` finds no difference once traffic has stopped. The seed fixes the sandbox's studio and its
 * traffic; set UNDERSTUDY_SANDBOX_SEED to repeat a run.
 */
const SEED = process.env.UNDERSTUDY_SANDBOX_SEED ?? String(Date.now() % 1_000_000);
const TRAFFIC_PER_SECOND = 20;
/** How long the replica may take to settle once everything is up again, on two busy cores. */
const SETTLE_TIMEOUT_MS = 90_000;

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

interface Status {
  readonly watermark: { readonly polledThrough: number; readonly appliedThrough: number } | null;
}

async function statusOf(stack: Stack): Promise<Status> {
  const { code, stdout } = await stack.understudy('status', '--json');
  assert.equal(code, 0, stdout);
  return JSON.parse(stdout) as Status;
}

/** Waits until at least `count` more events than now were applied: traffic flows through the replica. */
async function eventsFlow(stack: Stack, count: number): Promise<void> {
  const start = (await statusOf(stack)).watermark?.appliedThrough ?? 0;
  await until(
    `${count} more events applied`,
    async () => ((await statusOf(stack)).watermark?.appliedThrough ?? 0) >= start + count,
    { timeoutMs: SETTLE_TIMEOUT_MS, everyMs: 500 },
  );
}

async function assertConverges(stack: Stack): Promise<void> {
  await stack.sandbox('/traffic', { writesPerSecond: 0 });
  let last = '';
  await until(
    'verify finds no difference',
    async () => {
      const { code, stdout } = await stack.understudy('verify', '--json');
      last = stdout;
      return code === 0;
    },
    { timeoutMs: SETTLE_TIMEOUT_MS, everyMs: 1_000 },
  ).catch((error: unknown) => {
    throw new Error(`${last.slice(0, 4_000)}`, { cause: error });
  });
  await stack.sandbox('/traffic', { writesPerSecond: TRAFFIC_PER_SECOND });
}

for (const queue of ['postgres', 'redis'] as const satisfies readonly QueueKind[]) {
  describe(`convergence over ${queue}, seed ${SEED}`, { skip: queue === 'redis' && !hasRedis }, () => {
    let stack: Stack;
    before(async () => {
      console.log(`# seed ${SEED}`);
      stack = await startStack({
        queue,
        env: { UNDERSTUDY_SANDBOX_SEED: SEED, UNDERSTUDY_SANDBOX_TRAFFIC: String(TRAFFIC_PER_SECOND) },
      });
    });
    after(() => stack?.stop());

    for (const name of [
      'event-poller',
      'applier',
      'scanner',
      'api-reader',
    ] as const satisfies readonly ServiceName[]) {
      test(`${name} killed in the middle of traffic`, async () => {
        await eventsFlow(stack, 20);
        await stack.process(name).end('SIGKILL');
        await stack.sandbox('/traffic', { writesPerSecond: TRAFFIC_PER_SECOND });
        stack.process(name).start();
        await eventsFlow(stack, 20);
        await assertConverges(stack);
      });
    }

    test('the queue wiped', async () => {
      await eventsFlow(stack, 20);
      await stack.wipeQueue();
      await eventsFlow(stack, 40);
      await assertConverges(stack);
    });

    test('PostgreSQL restarted', async () => {
      await eventsFlow(stack, 20);
      await stack.restartPostgres();
      await eventsFlow(stack, 40);
      await assertConverges(stack);
    });

    test('the site away for a while', async () => {
      await eventsFlow(stack, 20);
      await stack.sandbox('/faults', { outage: true });
      const reply = await stack.call(stack.readerUrl, 'read', {
        type: 'Shot',
        return_fields: ['code'],
        filters: { logical_operator: 'and', conditions: [] },
        return_only: 'active',
        paging: { entities_per_page: 1, current_page: 1 },
      });
      assert.equal(
        (reply as { entities: unknown[] }).entities.length,
        1,
        'reads are served while it is away',
      );
      await stack.sandbox('/faults', { outage: false });
      await eventsFlow(stack, 40);
      await assertConverges(stack);
    });
  });
}
