import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type { ProductProcess } from '@understudy/harness/child-process';
import { type QueueKind, type ServiceName, type Stack, startStack } from '@understudy/harness/stack';
import { until } from '@understudy/harness/until';
import { type Replica, readReplica } from '@understudy/pipeline/replica';
import type { EntityDifference } from '@understudy/pipeline/verify/entity-state';
import { verifyType } from '@understudy/pipeline/verify/verify-type';
import { localBudget } from '@understudy/site-client/budget';
import { createSiteClient, type SiteClient } from '@understudy/site-client/site-client';
import { type Database, openDatabase } from '@understudy/store/database';
import { readWatermark } from '@understudy/store/watermark';

/**
 * Whatever is killed, wiped, away or misbehaves in the middle of live traffic, the replica converges to the site by
 * itself: `understudy verify` finds no difference once traffic has stopped. The seed fixes the sandbox's studio and its
 * traffic; set UNDERSTUDY_SANDBOX_SEED to repeat a run.
 */
const SEED = process.env.UNDERSTUDY_SANDBOX_SEED ?? String(Date.now() % 1_000_000);
const TRAFFIC_PER_SECOND = 20;
/** How long the replica may take to settle once everything is up again, on two busy cores. */
const SETTLE_TIMEOUT_MS = 240_000;
const ENVIRONMENT = {
  UNDERSTUDY_SANDBOX_SEED: SEED,
  UNDERSTUDY_SANDBOX_SCALE: '1000',
  UNDERSTUDY_SANDBOX_TRAFFIC: String(TRAFFIC_PER_SECOND),
  // What is slow by default is seen within a test.
  UNDERSTUDY_POLLER_GAP_TIMEOUT_MS: '3000',
  UNDERSTUDY_POLLER_LEASE_MS: '3000',
  UNDERSTUDY_POLLER_SWEEP_AFTER_MS: '3000',
  UNDERSTUDY_SCANNER_INTERVAL_MS: '3000',
  UNDERSTUDY_SCANNER_OVERLAP_MS: '20000',
  UNDERSTUDY_SITE_TIMEOUT_MS: '10000',
};

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

for (const queue of ['postgres', 'redis'] as const satisfies readonly QueueKind[]) {
  describe(`convergence over ${queue}, seed ${SEED}`, { skip: queue === 'redis' && !hasRedis }, () => {
    let stack: Stack;
    let database: Database;
    let site: SiteClient;
    let replica: Replica;
    before(async () => {
      console.log(`# seed ${SEED}`);
      stack = await startStack({ queue, env: ENVIRONMENT });
      database = await openDatabase({ url: stack.databaseUrl, poolSize: 2, applicationName: 'test' });
      site = createSiteClient({
        url: stack.siteUrl,
        credentials: { scriptName: 'understudy', scriptKey: 'sandbox-key' },
        budget: localBudget({ concurrency: 4 }),
        timeoutMs: 10_000,
      });
      replica = await readReplica(database, site);
    });
    after(async () => {
      await site?.close();
      await database?.close();
      await stack?.stop();
    });

    const applied = async (): Promise<number> => (await readWatermark(database.pool))?.appliedThrough ?? 0;

    /** Waits until at least `count` more events than now were applied: traffic flows through the replica. */
    async function eventsFlow(count: number): Promise<void> {
      const start = await until('the watermark can be read', applied, { timeoutMs: SETTLE_TIMEOUT_MS });
      await until(`${count} more events applied`, async () => (await applied()) >= start + count, {
        timeoutMs: SETTLE_TIMEOUT_MS,
        everyMs: 200,
      });
    }

    /** What differs from the site, as `understudy verify` finds it; in this process, to spare its start each time. */
    async function differences(): Promise<readonly EntityDifference[]> {
      const found: EntityDifference[] = [];
      for (const type of replica.schema.types.keys()) {
        await verifyType(replica, type, {
          priority: 'audit',
          settleMs: 10_000,
          signal: new AbortController().signal,
          onCompared: () => {},
          onDifference: (difference) => found.push(difference),
        });
      }
      return found;
    }

    async function converges(): Promise<void> {
      await stack.sandbox('/traffic', { writesPerSecond: 0 });
      let last: readonly EntityDifference[] = [];
      await until(
        'nothing differs',
        async () => {
          last = await differences();
          return last.length === 0;
        },
        { timeoutMs: SETTLE_TIMEOUT_MS, everyMs: 500 },
      ).catch((error: unknown) => {
        throw new Error(JSON.stringify(last.slice(0, 20)), { cause: error });
      });
      await stack.sandbox('/traffic', { writesPerSecond: TRAFFIC_PER_SECOND });
    }

    async function killed(child: ProductProcess): Promise<void> {
      await child.end('SIGKILL');
      child.start();
      await eventsFlow(20);
    }

    test('status tells how far the event log is followed', async () => {
      const status = await until(
        'status can be read',
        async () => {
          const { code, stdout } = await stack.understudy('status', '--json');
          return code === 0
            ? (JSON.parse(stdout) as {
                watermark: { polledThrough: number; appliedThrough: number };
                services: readonly { service: string }[];
              })
            : null;
        },
        { timeoutMs: SETTLE_TIMEOUT_MS },
      );
      assert.ok(status.watermark.polledThrough >= status.watermark.appliedThrough);
      assert.ok(status.services.some((one) => one.service === 'event-poller'));
    });

    for (const name of [
      'event-poller',
      'applier',
      'scanner',
      'api-reader',
    ] as const satisfies readonly ServiceName[]) {
      test(`${name} killed in the middle of traffic`, async () => {
        await eventsFlow(20);
        await killed(stack.process(name));
        await converges();
      });
    }

    test('the queue wiped', async () => {
      await eventsFlow(20);
      await stack.wipeQueue();
      await eventsFlow(40);
      await converges();
    });

    test('PostgreSQL restarted', async () => {
      await eventsFlow(20);
      await stack.restartPostgres();
      await eventsFlow(40);
      await converges();
    });

    test('the site away for a while', async () => {
      await eventsFlow(20);
      const readShot = (): Promise<unknown> =>
        stack.call(stack.readerUrl, 'read', {
          type: 'Shot',
          return_fields: ['code'],
          filters: { logical_operator: 'and', conditions: [] },
          return_only: 'active',
          paging: { entities_per_page: 1, current_page: 1 },
        });
      // Whoever the site accepted a while ago goes on reading without it.
      await readShot();
      await stack.sandbox('/faults', { outage: true });
      const reply = await readShot();
      assert.equal(
        (reply as { entities: unknown[] }).entities.length,
        1,
        'reads are served while it is away',
      );
      await stack.sandbox('/faults', { outage: false });
      await eventsFlow(40);
      await converges();
    });

    test('events that come late, out of order or never, and writes that make none', async () => {
      const faults = { lateRate: 0.2, lateMs: 1_500, lostIdRate: 0.1, silentRate: 0.05 };
      await stack.sandbox('/faults', { ...faults, errorRate: 0.05, closeRate: 0.05 });
      await eventsFlow(150);
      await stack.sandbox('/faults', {
        lateRate: 0,
        lostIdRate: 0,
        silentRate: 0,
        errorRate: 0,
        closeRate: 0,
      });
      await converges();
      const { rows } = await database.pool.query(`select from understudy.scan where kind = 'span'`);
      assert.ok(rows.length > 0, 'the time of events that never came is scanned');
    });

    test('two pollers: the standby takes over when the leader is killed', async () => {
      const standby = stack.another('event-poller');
      standby.start();
      const leader = async (): Promise<string | undefined> => {
        const { rows } = await database.pool.query<{ holder: string }>(
          `select holder from understudy.lease where name = 'event-poller' and expires_at > now()`,
        );
        return rows[0]?.holder;
      };
      const first = await until('one leads', leader);
      await until('the standby is there', async () => {
        const { rows } = await database.pool.query(
          `select from understudy.service where service = 'event-poller' and seen_at > now() - interval '5 seconds'`,
        );
        return rows.length === 2;
      });
      await stack.process('event-poller').end('SIGKILL');
      await until('the other leads', async () => ![undefined, first].includes(await leader()));
      await eventsFlow(20);
      stack.process('event-poller').start();
      await standby.end();
      await eventsFlow(20);
      await converges();
    });

    test('two appliers at once, one of them killed', async () => {
      const other = stack.another('applier');
      other.start();
      await eventsFlow(60);
      await other.end('SIGKILL');
      await eventsFlow(20);
      await converges();
    });

    test('understudy verify says the same', async () => {
      await stack.sandbox('/traffic', { writesPerSecond: 0 });
      await converges();
      await stack.sandbox('/traffic', { writesPerSecond: 0 });
      const { code, stdout } = await stack.understudy('verify');
      assert.equal(code, 0, stdout);
      assert.match(stdout, /No difference/);
    });
  });
}
