import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startDashboard } from '@understudy/dashboard/dashboard';
import { ProductProcess } from '@understudy/harness/child-process';
import { freePort } from '@understudy/harness/free-port';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { firstGeneration } from '@understudy/pipeline/move-generation';
import { openQueueBackend } from '@understudy/pipeline/queue-backend';
import { loadConfig } from '@understudy/runtime/config/load';
import { createLogger } from '@understudy/runtime/logging';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { siteSchemaFrom } from '@understudy/schema/site-schema-digest';
import { type Database, openDatabase } from '@understudy/store/database';
import { parkEvent, storeEvents } from '@understudy/store/event-log';
import { serveScanned } from '@understudy/store/followed-fields';
import { migrate } from '@understudy/store/migrate';
import { createScan, finishChunk, openChunks } from '@understudy/store/scans';
import { heartbeat } from '@understudy/store/service-registry';
import { advancePolled, initWatermark, replaceGaps } from '@understudy/store/watermark';
import { type Browser, chromium, type Page } from 'playwright-core';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);
const REDIS = ['/usr/bin/redis-server', '/usr/local/bin/redis-server'].find(existsSync);
const NO_CHROMIUM =
  CHROMIUM === undefined ? 'no chromium was found (Debian: apt-get install chromium)' : false;
const NO_REDIS =
  REDIS === undefined ? 'no redis-server was found (Debian: apt-get install redis-server)' : false;
/** Where to keep pictures of the pages, for people who want to look at them. */
const PICTURES = process.env.DASHBOARD_PICTURES;
const WIDE = { width: 1400, height: 1000 };
const NARROW = { width: 390, height: 844 };

interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

async function start(databaseUrl: string, queueUrl: string, password = ''): Promise<Running> {
  const config = loadConfig({
    needs: ['database'],
    env: {
      DATABASE_URL: databaseUrl,
      QUEUE_URL: queueUrl,
      UNDERSTUDY_DASHBOARD_PASSWORD: password,
      UNDERSTUDY_LOG_LEVEL: 'fatal',
    },
    argv: ['--dashboard-port', '0'],
  });
  const dashboard = await startDashboard(config, createLogger(config.log, 'dashboard'), () => {});
  const stopping = new AbortController();
  const run = dashboard.run(stopping.signal);
  return {
    url: dashboard.url,
    stop: async () => {
      stopping.abort();
      await run;
    },
  };
}

async function addJobs(queueUrl: string, count: number): Promise<void> {
  const backend = openQueueBackend(queueUrl);
  const jobs = Array.from({ length: count }, (_, index) => ({
    id: `events-${count}-${index}`,
    name: 'events',
    data: { v: 1, events: [] },
    forget: false,
  }));
  await backend.queue('events').add(jobs);
  await backend.close();
}

/** Lets connections to the address of `door` through to `server` from now on. */
async function openDoor(door: URL, server: URL): Promise<Server> {
  const bridge = createServer((socket) => {
    const onward = connect(Number(server.port), server.hostname);
    socket.pipe(onward).pipe(socket);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const)
      one.on('error', () => other.destroy());
  });
  bridge.listen(Number(door.port), door.hostname);
  await once(bridge, 'listening');
  return bridge;
}

/** A replica in the middle of its first full scan, with something of everything the page shows. */
async function fill(db: Database, url: string): Promise<void> {
  await migrate(db);
  await initWatermark(db.pool, 1_000);
  await advancePolled(db.pool, 1_234, new Date());
  await replaceGaps(db.pool, [{ first: 1_200, last: 1_201, seenAt: Date.now() }]);
  const entry = { created_at: '2026-01-01T00:00:00Z', event_type: 'Shotgun_Shot_Change' };
  await storeEvents(
    db.pool,
    [1_202, 1_203].map((id) => ({ entry: { ...entry, id } as never, tick: id, late: false })),
  );
  await parkEvent(db.pool, 1_203, 'not understood');
  const types = ['Asset', 'HumanUser', 'Project', 'Sequence', 'Shot', 'Task', 'Version'];
  const chunks = types.flatMap((type, index) =>
    Array.from({ length: index + 1 }, (_, at) => ({ type, fromId: at * 100 + 1, toId: at * 100 + 100 })),
  );
  await firstGeneration({
    db,
    databaseOptions: { url, poolSize: 2, applicationName: 'test' },
    declared: parseCachedSchema(`types:\n${types.map((type) => `  ${type}: {code: text}\n`).join('')}`),
    reading: {
      schema: siteSchemaFrom(Object.fromEntries(types.map((type) => [type, { code: ['text'] }]))),
      askedAt: new Date(),
    },
    source: 'test',
    siteUrl: 'http://site.example',
  });
  await db.pool.query(
    `insert into understudy.scan (kind, reason, created_at, finished_at)
     values ('interval', 'its time has come', now() - interval '8 minutes', now() - interval '7 minutes')`,
  );
  const scanId = await createScan(db.pool, { kind: 'full', reason: 'first start' }, chunks);
  const open = await openChunks(db.pool, 100);
  for (const chunk of open.slice(0, 12)) await finishChunk(db.pool, chunk, 97);
  assert.equal(await serveScanned(db.pool, scanId, 'Asset'), 2);
  for (const service of ['event-poller', 'applier', 'scanner', 'retirement-reprocessor', 'api-reader'])
    await heartbeat(db.pool, { service, instance: 'render-01:4711', version: '0.1.0', state: 'running' });
  await heartbeat(db.pool, {
    service: 'applier',
    instance: 'render-02:<b>1</b>',
    version: '0',
    state: 'running',
  });
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

/** The cells of the row whose heading starts with `name`, as people read them. */
async function cells(page: Page, table: string, name: string): Promise<readonly string[]> {
  const row = page
    .getByRole('table', { name: table })
    .getByRole('row')
    .filter({ has: page.getByRole('rowheader', { name, exact: true }) })
    .first();
  return row.getByRole('cell').allInnerTexts();
}

async function figure(page: Page, name: string): Promise<string> {
  return page
    .locator('#figures > div')
    .filter({ has: page.getByText(name, { exact: true }) })
    .locator('.figure')
    .innerText();
}

describe('the dashboard in a browser', { skip: NO_CHROMIUM }, () => {
  let browser: Browser;
  before(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'] });
  });
  after(() => browser.close());

  /** Opens a page and collects what goes wrong in it. */
  async function open(
    url: string,
    options: {
      readonly colorScheme?: 'light' | 'dark';
      readonly viewport?: typeof WIDE;
      readonly httpCredentials?: { readonly username: string; readonly password: string };
    } = {},
  ): Promise<{ readonly page: Page; readonly faults: string[] }> {
    const page = await browser.newPage({ viewport: WIDE, ...options });
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text());
    });
    await page.goto(url);
    return { page, faults };
  }

  for (const kind of ['postgres', 'redis'] as const) {
    describe(`over ${kind}`, { skip: kind === 'redis' ? NO_REDIS : false }, () => {
      let database: Awaited<ReturnType<typeof createTestDatabase>>;
      let db: Database;
      let dashboard: Running;
      let queueUrl: string;
      let redis: ProductProcess | undefined;
      let folder: string | undefined;
      before(async () => {
        database = await createTestDatabase();
        db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
        await fill(db, database.url);
        queueUrl = database.url;
        if (kind === 'redis') {
          const port = await freePort();
          folder = await mkdtemp(join(tmpdir(), 'understudy-redis-'));
          redis = new ProductProcess(
            'redis',
            [REDIS ?? '', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder],
            process.env,
          );
          redis.start();
          queueUrl = `redis://127.0.0.1:${port}`;
        }
        await addJobs(queueUrl, 3);
        dashboard = await start(database.url, queueUrl);
      });
      after(async () => {
        await dashboard.stop();
        await db.close();
        await database.drop();
        await redis?.end('SIGKILL');
        if (folder !== undefined) await rm(folder, { recursive: true, force: true });
      });

      test('shows how it goes, and what changes while it is open', async () => {
        const { page, faults } = await open(dashboard.url);
        await page.getByRole('status').getByText('Running, with something to look at').waitFor();
        await page.getByText('1 event is parked').waitFor();
        await page.getByText('A full scan is under way: 42 %.').waitFor();
        assert.equal(await figure(page, 'Applied through'), '1,199');
        assert.equal(await figure(page, 'Open gaps'), '1');
        assert.equal(await figure(page, 'Served here'), '1 of 7');
        assert.equal(await figure(page, 'Events waiting'), '1');
        assert.equal(await figure(page, 'Parked events'), '1');
        assert.equal(await figure(page, 'Last scan'), '7 min');
        assert.deepEqual(await cells(page, 'Services', 'scanner'), ['render-01:4711', 'running', 'now']);
        assert.deepEqual(await cells(page, 'Queues', 'events'), ['3', '0', '0', '0', '0']);
        assert.deepEqual(await cells(page, 'Full scan 2, by type', 'Shot'), ['', '2 / 5', '194']);
        await page.getByRole('progressbar', { name: 'Shot: 40 %' }).waitFor();
        // Names are text, whatever is in them.
        await page.getByText('render-02:<b>1</b>').waitFor();
        await picture(page, `status-${kind}-light`);

        await addJobs(queueUrl, 4);
        const [chunk] = await openChunks(db.pool, 1);
        assert.ok(chunk !== undefined);
        await finishChunk(db.pool, chunk, 50);
        await until('the page shows the new jobs and entities', async () => {
          const [waiting] = await cells(page, 'Queues', 'events');
          const [, , rows] = await cells(page, 'Full scan 2, by type', 'Shot');
          return waiting === '7' && rows === '244';
        });
        assert.deepEqual(faults, []);
        await page.close();
      });

      test('shows every queue and lets jobs be tried again, nothing else', async () => {
        const { page } = await open(dashboard.url);
        await page.getByRole('link', { name: 'Queues' }).click();
        for (const name of ['events', 'refresh', 'scan'])
          await page
            .getByRole('link', { name: new RegExp(`^${name}`) })
            .first()
            .waitFor();
        await picture(page, `queues-${kind}`);
        await page.goto(`${dashboard.url}/queues/queue/events`);
        await page.getByText('events-3-0').first().waitFor();
        await picture(page, `queue-${kind}`);
        await page.close();

        const put = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
          fetch(`${dashboard.url}/queues/api/queues/${path}`, { method: 'PUT', headers });
        assert.equal((await put('events/pause')).status, 403);
        assert.equal((await put('events/empty')).status, 403);
        assert.equal((await put('events/retry/failed', { origin: 'https://elsewhere.example' })).status, 403);
        assert.equal((await put('events/retry/failed', { origin: dashboard.url })).status, 200);
      });

      test('metrics are labelled by queue and type', async () => {
        const text = await (await fetch(`${dashboard.url}/metrics`)).text();
        for (const line of [
          /^understudy_up\{part="queue"\} 1$/m,
          /^understudy_lag_seconds \d/m,
          /^understudy_gap_ids_open 2$/m,
          /^understudy_queue_jobs\{queue="events",state="waiting"\} \d$/m,
          /^understudy_scan_age_seconds\{kind="interval"\} 4\d\d(\.\d+)?$/m,
          /^understudy_scan_progress_ratio\{kind="full",type="Asset"\} 1$/m,
        ])
          assert.match(text, line);
      });
    });
  }

  test('when PostgreSQL and the queue are away the page says so, and recovers', async () => {
    const database = await createTestDatabase();
    const door = new URL(database.url);
    door.port = String(await freePort());
    const dashboard = await start(door.toString(), `redis://127.0.0.1:${await freePort()}`);
    const withoutRedis = await start(door.toString(), door.toString());
    const { page, faults } = await open(dashboard.url);
    await page.getByRole('status').getByText('Something is wrong').waitFor();
    await page.getByText(/^PostgreSQL is away \(/).waitFor();
    await page.getByText(/^The queue in Redis is away \(/).waitFor();
    await page.getByText('Not known without PostgreSQL.').first().waitFor();
    assert.equal(await figure(page, 'Lag'), '–');
    await picture(page, 'status-away');
    assert.equal((await fetch(`${dashboard.url}/readyz`)).status, 200);
    const metrics = await (await fetch(`${dashboard.url}/metrics`)).text();
    assert.match(metrics, /^understudy_up\{part="database"\} 0$/m);
    assert.doesNotMatch(metrics, /^understudy_lag_seconds \d/m);
    for (const { url } of [dashboard, withoutRedis]) {
      const board = await fetch(`${url}/queues/api/queues`);
      assert.equal(board.status, 500);
      assert.match(await board.text(), /The queue is away/);
    }

    const bridge = await openDoor(door, new URL(database.url));
    await page.getByText('The replica’s tables are not made yet: no service').waitFor();
    await page.getByRole('region', { name: 'Services' }).getByText('tables are not made yet.').waitFor();
    assert.equal(await page.getByText('Not known without PostgreSQL.').count(), 0);
    await until('the queues in PostgreSQL are shown', async () => {
      return (await fetch(`${withoutRedis.url}/queues/api/queues`)).ok;
    });
    assert.deepEqual(faults, []);
    await dashboard.stop();
    await page.getByRole('status').getByText('The dashboard does not answer').waitFor();
    await picture(page, 'status-no-dashboard');
    await page.close();
    await withoutRedis.stop();
    bridge.close();
    await database.drop();
  });

  test('names of pods and the reason why a reader is not ready leave rows that can be read', async () => {
    const database = await createTestDatabase();
    const db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
    await fill(db, database.url);
    await heartbeat(db.pool, {
      service: 'api-reader',
      instance: 'understudy-api-reader-7d9f8b6c5d-x2x9z:1',
      version: '0.1.0',
      state: 'the scan of generation 12 is under way: 14 of 77 entity types are served',
    });
    const dashboard = await start(database.url, database.url);
    for (const [name, viewport, highest] of [
      ['pods-wide', WIDE, 170],
      ['pods-narrow', NARROW, 280],
    ] as const) {
      const { page } = await open(dashboard.url, { viewport });
      await page.getByText('14 of 77 entity types').waitFor();
      const heights = await page
        .locator('#services tbody tr')
        .evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
      await picture(page, name);
      assert.ok(Math.max(...heights) < highest, `${name}: rows of ${heights.map(Math.round)} pixels`);
      const wide = await page.evaluate(() => {
        const table = document.querySelector('#services')?.parentElement;
        return table == null ? 1 : table.scrollWidth - table.clientWidth;
      });
      assert.equal(wide, 0, `${name}: the table is wider than its place`);
      await page.close();
    }
    await dashboard.stop();
    await db.close();
    await database.drop();
  });

  test('dark, and on a telephone without scrolling sideways', async () => {
    const database = await createTestDatabase();
    const db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
    await fill(db, database.url);
    const dashboard = await start(database.url, database.url);
    for (const [name, options] of [
      ['dark', { colorScheme: 'dark' }],
      ['narrow', { viewport: NARROW }],
      ['narrow-dark', { viewport: NARROW, colorScheme: 'dark' }],
    ] as const) {
      const { page } = await open(dashboard.url, options);
      await page.getByText('1 event is parked').waitFor();
      const { wide, ground } = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        ground: getComputedStyle(document.body).backgroundColor,
      }));
      assert.equal(wide, 0, `${name}: the page is wider than the window`);
      assert.equal(ground, name.endsWith('dark') ? 'rgb(18, 22, 27)' : 'rgb(244, 246, 248)');
      await picture(page, `status-${name}`);
      await page.close();
    }
    await dashboard.stop();
    await db.close();
    await database.drop();
  });

  test('with a password nobody sees or changes anything without it, but probes and Prometheus', async () => {
    const database = await createTestDatabase();
    const db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
    await fill(db, database.url);
    const password = 'pä:ss word';
    const dashboard = await start(database.url, database.url, password);
    const paths = ['/', '/status.json', '/queues', '/queues/api/queues', '/not-there'];
    const asks = (headers: Record<string, string>, method = 'GET') =>
      Promise.all(
        paths.map(async (path) => {
          const reply = await fetch(`${dashboard.url}${path}`, { method, headers });
          await reply.arrayBuffer();
          return [reply.status, reply.headers.get('www-authenticate')];
        }),
      );
    const basic = (text: string): Record<string, string> => ({
      authorization: `Basic ${Buffer.from(text).toString('base64')}`,
    });
    const refused = paths.map(() => [401, 'Basic realm="Understudy", charset="UTF-8"']);
    assert.deepEqual(await asks({}), refused);
    assert.deepEqual(await asks({}, 'PUT'), refused);
    assert.deepEqual(await asks(basic(`anybody:${password} `)), refused);
    assert.deepEqual(await asks({ authorization: `Bearer ${password}` }), refused);
    assert.deepEqual(
      (await asks(basic(`anybody:${password}`))).map(([status]) => status),
      [200, 200, 200, 200, 404],
    );
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      const reply = await fetch(`${dashboard.url}${path}`);
      assert.equal(reply.status, 200, path);
      await reply.arrayBuffer();
    }
    const { page } = await open(dashboard.url, { httpCredentials: { username: 'ada', password } });
    await page.getByText('1 event is parked').waitFor();
    await page.goto(`${dashboard.url}/queues`);
    await page.getByText('events').first().waitFor();
    await page.close();
    await dashboard.stop();
    await db.close();
    await database.drop();
  });
});
