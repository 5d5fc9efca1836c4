import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { ProductProcess } from '@understudy/harness/child-process';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { openDatabase } from '@understudy/store/database';
import { migrate } from '@understudy/store/migrate';

const ANSWER_MS = 30;

/** One limit of requests, whatever process sends them. */
describe('the shared budget of requests', () => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let url = '';
  /** By process, requests under way and those answered. */
  const open = new Map<string, number>();
  const answered = new Map<string, number>();
  let most = 0;
  const workers: ProductProcess[] = [];
  const server = createServer((request, response) => {
    const name = request.headers['user-agent'] ?? '';
    open.set(name, (open.get(name) ?? 0) + 1);
    most = Math.max(
      most,
      [...open.values()].reduce((sum, n) => sum + n, 0),
    );
    request.resume();
    response.on('close', () => open.set(name, (open.get(name) ?? 0) - 1));
    setTimeout(() => {
      answered.set(name, (answered.get(name) ?? 0) + 1);
      response.setHeader('content-type', 'application/json');
      response.end('{"results":{}}');
    }, ANSWER_MS);
  });

  before(async () => {
    database = await createTestDatabase();
    const db = await openDatabase({ url: database.url, poolSize: 2, applicationName: 'test' });
    await migrate(db);
    await db.close();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.end('SIGKILL')));
    open.clear();
    answered.clear();
    most = 0;
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await database?.drop();
  });

  const work = (name: string, priority: string, atOnce: number, limit: number, rate = 0): ProductProcess => {
    const args = [name, url, database.url, priority, String(atOnce), String(limit), String(rate)];
    const worker = new ProductProcess(
      name,
      [process.execPath, 'test/budget-worker.ts', ...args],
      process.env,
    );
    workers.push(worker);
    worker.start();
    return worker;
  };
  const count = (name: string): number => answered.get(name) ?? 0;

  test('no more at once than allowed; what a killed process held comes back', async () => {
    const first = work('first', 'scan', 10, 4);
    work('second', 'scan', 10, 4);
    await until('both are answered', () => count('first') > 20 && count('second') > 20);
    assert.ok(most <= 4, `${most} at once`);
    await first.end('SIGKILL');
    await until('the other has all places', () => {
      return (open.get('second') ?? 0) === 4;
    });
    assert.ok(most <= 4, `${most} at once`);
  });

  test('clients are answered first, and scans go on', async () => {
    work('scans', 'scan', 30, 8);
    work('audits', 'audit', 30, 8);
    await until('scans are under way', () => count('scans') > 50);
    work('clients', 'client', 20, 8);
    await until('clients have most places', () => (open.get('clients') ?? 0) === 7);
    const [before, scansBefore] = [count('clients'), count('scans')];
    await until('clients are answered', () => count('clients') > before + 200);
    assert.ok(count('scans') > scansBefore, 'scans do not stand still');
    assert.ok(count('scans') - scansBefore < count('clients') - before);
    assert.ok(most <= 8, `${most} at once`);
  });

  test('no more a second than allowed', async () => {
    work('one', 'client', 4, 8, 20);
    work('two', 'scan', 4, 8, 20);
    const total = (): number => count('one') + count('two');
    await until('it has begun', () => total() > 25);
    const [start, from] = [performance.now(), total()];
    await until('a good number more', () => total() > from + 60);
    // Twenty a second, and what may have been saved up before; a busy machine is only slower.
    const allowed = ((performance.now() - start) / 1_000) * 20 + 20 + 8;
    assert.ok(total() - from <= allowed, `${total() - from} of ${allowed}`);
    assert.ok(count('two') > 0);
  });
});
