import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { QueueKind, Stack } from '@understudy/harness/stack';
import { until } from '@understudy/harness/until';
import { type Replica, readReplica } from '@understudy/pipeline/replica';
import type { EntityDifference } from '@understudy/pipeline/verify/entity-state';
import { localBudget } from '@understudy/site-client/budget';
import { createSiteClient, type SiteClient } from '@understudy/site-client/site-client';
import { type Database, openDatabase } from '@understudy/store/database';
import { readWatermark } from '@understudy/store/watermark';
import { differences } from '../differences.ts';

const TRAFFIC_PER_SECOND = 6;
/** How long the replica may take to settle once everything is up again, on two busy cores. */
const SETTLE_TIMEOUT_MS = 240_000;
/** How long it may take to hear of what was changed before it was compared. */
const HEARD_MS = 10_000;

/** What is slow by default is seen within a test. */
export const CONVERGENCE_ENVIRONMENT = {
  UNDERSTUDY_SANDBOX_SCALE: '1000',
  UNDERSTUDY_POLLER_GAP_TIMEOUT_MS: '3000',
  UNDERSTUDY_POLLER_LEASE_MS: '3000',
  UNDERSTUDY_POLLER_SWEEP_AFTER_MS: '3000',
  UNDERSTUDY_SCANNER_INTERVAL_MS: '10000',
  UNDERSTUDY_SCANNER_OVERLAP_MS: '20000',
  UNDERSTUDY_SCANNER_WHOLE_INTERVAL_MS: '5000',
  UNDERSTUDY_SITE_TIMEOUT_MS: '10000',
};

/**
 * Whatever is killed, wiped, away or misbehaves in the middle of live traffic, the replica converges to the site by
 * itself: `understudy verify` finds no difference once traffic has stopped.
 */
export function convergenceTests(queue: QueueKind, stackOf: () => Stack): void {
  describe('convergence', () => {
    let stack: Stack;
    let database: Database;
    let site: SiteClient;
    let replica: Replica;
    before(async () => {
      stack = stackOf();
      database = await openDatabase({ url: stack.databaseUrl, poolSize: 2, applicationName: 'test' });
      site = createSiteClient({
        url: stack.siteUrl,
        credentials: { scriptName: 'understudy', scriptKey: 'sandbox-key' },
        budget: localBudget({ concurrency: 4 }),
        timeoutMs: 10_000,
      });
      replica = await readReplica(database, site);
    });
    beforeEach(() => stack.sandbox('/traffic', { writesPerSecond: TRAFFIC_PER_SECOND }));
    after(async () => {
      await site?.close();
      await database?.close();
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

    async function converges(): Promise<void> {
      await stack.sandbox('/traffic', { writesPerSecond: 0 });
      let last: readonly EntityDifference[] = [];
      await until(
        'nothing differs',
        async () => {
          last = await differences(replica, replica.schema.types.keys(), HEARD_MS);
          return last.length === 0;
        },
        { timeoutMs: SETTLE_TIMEOUT_MS, everyMs: 500 },
      ).catch((error: unknown) => {
        throw new Error(JSON.stringify(last.slice(0, 20)), { cause: error });
      });
    }

    /** Waits until `count` more event ids than now were polled, whether they can be applied or not. */
    async function eventsStored(count: number): Promise<void> {
      const polled = async (): Promise<number> => (await readWatermark(database.pool))?.polledThrough ?? 0;
      const start = await polled();
      await until(`${count} more event ids polled`, async () => (await polled()) >= start + count, {
        timeoutMs: SETTLE_TIMEOUT_MS,
      });
    }

    /** Reads a Shot through the reader. @returns who answered: `replica` or `site`. */
    async function readShot(): Promise<string> {
      const reply = await fetch(`${stack.readerUrl}/api3/json`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          method_name: 'read',
          params: [
            { script_name: 'pipeline', script_key: 'pipeline-key' },
            {
              type: 'Shot',
              return_fields: ['code'],
              filters: { logical_operator: 'and', conditions: [] },
              return_only: 'active',
              paging: { entities_per_page: 1, current_page: 1 },
            },
          ],
        }),
      });
      const { results } = (await reply.json()) as { results?: { entities: unknown[] } };
      assert.equal(results?.entities.length, 1);
      return reply.headers.get('x-understudy')?.split(';')[0] ?? '';
    }

    const SERVICES = ['event-poller', 'applier', 'scanner', 'api-reader'] as const;

    /** The process ids of the services, which stay the same unless one ends and is started again. */
    const stillRunning = (): void => {
      for (const name of SERVICES)
        assert.ok(stack.process(name).running, `${name} ended:\n${stack.process(name).output}`);
    };

    test('each service killed in the middle of traffic', async () => {
      for (const name of SERVICES) {
        await eventsFlow(20);
        await stack.process(name).end('SIGKILL');
        stack.process(name).start();
      }
      await eventsFlow(20);
      await converges();
    });

    test('a reader killed between the site’s answer to a write and its merge', {
      // No queue has part in it.
      skip: queue !== 'postgres',
    }, async () => {
      await until('the reader answers from the replica', async () => (await readShot()) === 'replica', {
        timeoutMs: SETTLE_TIMEOUT_MS,
      });
      await stack.sandbox('/traffic', { writesPerSecond: 0 });
      const shots = { type: 'Shot', fields: ['description'], pageSize: 2 };
      const [changed, retired] = (await site.read(shots, { priority: 'client' })).results;
      assert.ok(changed !== undefined && retired !== undefined);
      const write = (method: string, payload: object): Promise<unknown> =>
        fetch(`${stack.readerUrl}/api3/json`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            method_name: method,
            params: [{ script_name: 'pipeline', script_key: 'pipeline-key' }, payload],
          }),
        }).catch((error: unknown) => error);
      const description = 'the reader died';
      const merging = await database.pool.connect();
      try {
        // Nobody merges a Shot meanwhile.
        await merging.query('begin');
        await merging.query('lock table site.shot in share row exclusive mode');
        const fields = [{ field_name: 'description', value: description }];
        const writes = [
          write('update', { type: 'Shot', id: changed.id, fields }),
          write('delete', { type: 'Shot', id: retired.id }),
        ];
        await until('the site did both', async () => {
          const { results } = await site.read(shots, { priority: 'client' });
          const isRetired = results.every(({ id }) => id !== retired.id);
          return isRetired && results.some((row) => row['description'] === description);
        });
        await stack.process('api-reader').end('SIGKILL');
        for (const answer of await Promise.all(writes)) assert.ok(answer instanceof Error, 'no answer came');
      } finally {
        await merging.query('rollback');
        merging.release();
      }
      stack.process('api-reader').start();
      await converges();
      const { rows } = await database.pool.query(
        'select description, _active from site.shot where id = any($1::bigint[]) order by id',
        [[changed.id, retired.id]],
      );
      assert.deepEqual([rows[0]?.description, rows[1]?._active], [description, false]);
    });

    test('two pollers, the leader killed; two appliers, one killed', async () => {
      const leader = async (): Promise<string | undefined> => {
        const { rows } = await database.pool.query<{ holder: string }>(
          `select holder from understudy.lease where name = 'event-poller' and expires_at > now()`,
        );
        return rows[0]?.holder;
      };
      const first = await until('one leads', leader, { timeoutMs: SETTLE_TIMEOUT_MS });
      const standby = stack.another('event-poller');
      const other = stack.another('applier');
      standby.start();
      other.start();
      await until(
        'both are there',
        async () => {
          const { rows } = await database.pool.query(
            `select from understudy.service
             where service in ('event-poller', 'applier') and seen_at > now() - interval '10 seconds'`,
          );
          return rows.length === 4;
        },
        { timeoutMs: SETTLE_TIMEOUT_MS },
      );
      await eventsFlow(40);
      await stack.process('event-poller').end('SIGKILL');
      await other.end('SIGKILL');
      await until('the other leads', async () => ![undefined, first].includes(await leader()), {
        timeoutMs: SETTLE_TIMEOUT_MS,
      });
      await eventsFlow(20);
      stack.process('event-poller').start();
      assert.equal(await standby.end(), 0);
      await eventsFlow(20);
      await converges();
    });

    test('PostgreSQL crashed and away for a while, then the queue wiped', async () => {
      await eventsFlow(20);
      await stack.haltPostgres();
      await until('reads pass through', async () => (await readShot()) === 'site', {
        timeoutMs: SETTLE_TIMEOUT_MS,
      });
      stillRunning();
      await stack.resumePostgres();
      await eventsFlow(40);
      stillRunning();
      await until('reads are answered here again', async () => (await readShot()) === 'replica', {
        timeoutMs: SETTLE_TIMEOUT_MS,
      });
      await stack.wipeQueue();
      await eventsFlow(40);
      await converges();
    });

    test('Redis away for a while: events are stored, and applied when it is back', {
      skip: queue !== 'redis',
    }, async () => {
      const { redis } = stack;
      assert.ok(redis !== null);
      await eventsFlow(20);
      // It hangs: connections stay open, nothing is answered.
      redis.signal('SIGSTOP');
      await eventsStored(40);
      redis.signal('SIGCONT');
      await eventsFlow(40);
      // It is gone with all jobs.
      await redis.end('SIGKILL');
      await eventsStored(40);
      assert.equal(await readShot(), 'replica', 'reads go on');
      const other = stack.another('applier');
      other.start();
      await until('it is there', () => other.output.includes('applier runs'), {
        timeoutMs: SETTLE_TIMEOUT_MS,
      });
      assert.equal(await other.end(), 0, 'a service ends in order without a queue');
      redis.start();
      await eventsFlow(40);
      stillRunning();
      await converges();
    });

    test('the site away for a while', async () => {
      await eventsFlow(20);
      // Whoever the site accepted a while ago goes on reading without it.
      await readShot();
      await stack.sandbox('/faults', { outage: true });
      assert.equal(await readShot(), 'replica', 'reads are served while it is away');
      await stack.sandbox('/faults', { outage: false });
      await eventsFlow(20);
      await converges();
    });

    test('events that come late, out of order or never, and writes that make none', async () => {
      const faults = { lateRate: 0.2, lateMs: 1_500, lostIdRate: 0.1, silentRate: 0.05 };
      await stack.sandbox('/faults', { ...faults, errorRate: 0.05, closeRate: 0.05 });
      await eventsFlow(100);
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

    test('every metric that alerts and panels use is there', async () => {
      const names = ['event-poller', 'applier', 'scanner', 'retirement-reprocessor', 'api-reader'] as const;
      const texts = await Promise.all(names.map((name) => stack.metrics(name)));
      // Whoever asks the site counts it.
      const count = '# TYPE understudy_site_requests_total ';
      for (const [place, text] of texts.entries()) assert.ok(text.includes(count), names[place]);
      // The dashboard is no part of this stack; a test of its own looks at its metrics.
      const ofDashboard = readFileSync('services/dashboard/status-metrics.ts', 'utf8');
      const used = ['deploy/prometheus/understudy.rules.yaml', 'deploy/grafana/understudy.json'].flatMap(
        (path) => [...readFileSync(path, 'utf8').matchAll(/understudy_(\w+)/g)].map(([, name = '']) => name),
      );
      assert.deepEqual(
        [...new Set(used.map((name) => name.replace(/_(bucket|sum|count)$/, '')))].filter(
          (name) =>
            !texts.some((text) => text.includes(`# TYPE understudy_${name} `)) &&
            !ofDashboard.includes(`'${name}'`),
        ),
        [],
      );
    });

    test('understudy verify says the same', async () => {
      // What changed without an event a moment ago is the next scan's to find.
      await converges();
      const { code, stdout } = await stack.understudy('verify');
      assert.equal(code, 0, stdout);
      assert.match(stdout, /No difference/);
    });
  });
}
