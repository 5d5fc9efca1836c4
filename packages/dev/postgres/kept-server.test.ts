import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '@understudy/harness/free-port';
import { until } from '@understudy/harness/until';
import pg from 'pg';
import { isAlive } from '../process-tree.ts';
import { type KeptServer, startKeptServer } from './kept-server.ts';
import type { ServerOptions } from './server.ts';

let folder: string;
let options: ServerOptions;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-kept-'));
  await chmod(folder, 0o755);
  options = {
    folder: join(folder, 'pg'),
    port: await freePort(),
    user: 'u',
    password: 'p',
    throwAway: false,
  };
});
after(() => rm(folder, { recursive: true, force: true }));

async function query(server: KeptServer, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return rows;
  } finally {
    await client.end();
  }
}

/** Starts a server from a process of its own. @returns what ends that process, and the pid of PostgreSQL. */
async function startElsewhere(): Promise<{ kill(): void; readonly postgres: number }> {
  const script = `
    import { startKeptServer } from ${JSON.stringify(new URL('kept-server.ts', import.meta.url).href)};
    await startKeptServer(${JSON.stringify(options)});
    process.stdout.write('up\\n');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const lock = await import('node:fs/promises').then((fs) =>
    fs.readFile(join(options.folder, 'data', 'postmaster.pid'), 'utf8'),
  );
  return { kill: () => child.kill('SIGKILL'), postgres: Number(lock.split('\n', 1)[0]) };
}

test('data that was made halfway is made anew, and kept from then on', async () => {
  await mkdir(join(options.folder, 'data.new'), { recursive: true });
  await writeFile(join(options.folder, 'data.new', 'PG_VERSION'), '18');
  const first = await startKeptServer(options);
  await query(first, 'create table kept (n int)');
  await query(first, 'insert into kept values (42)');
  await first.stop();
  assert.equal(existsSync(join(options.folder, 'data', 'postmaster.pid')), false);
  const second = await startKeptServer(options);
  assert.deepEqual(await query(second, 'select n from kept'), [{ n: 42 }]);
  await second.restart();
  assert.deepEqual(await query(second, 'select n from kept'), [{ n: 42 }]);
  await second.stop('immediate');
});

test('PostgreSQL ends when its owner is killed', async () => {
  const other = await startElsewhere();
  assert.equal(isAlive(other.postgres), true);
  other.kill();
  await until('PostgreSQL has ended', () => !isAlive(other.postgres));
});

test('PostgreSQL is started again when it is killed, on the same data, and given up when that goes on and on', async () => {
  const revived: string[] = [];
  const server = await startKeptServer(options, (said) => revived.push(said));
  const pid = async (): Promise<number> =>
    Number((await readFile(join(options.folder, 'data', 'postmaster.pid'), 'utf8')).split('\n', 1)[0]);
  for (let time = 1; time <= 5; time += 1) {
    process.kill(await pid(), 'SIGKILL');
    await until('it runs again', () => revived.length === time, { timeoutMs: 60_000 });
    assert.deepEqual(await query(server, 'select n from kept'), [{ n: 42 }]);
  }
  process.kill(await pid(), 'SIGKILL');
  await server.ended;
  await server.stop();
});

test('a lock that a killed PostgreSQL left, with a number that another program has now, does no harm', async () => {
  await writeFile(
    join(options.folder, 'data', 'postmaster.pid'),
    `${process.ppid}\n${join(options.folder, 'data')}\n1\n${options.port}\n\n\n\nready\n`,
  );
  const server = await startKeptServer(options);
  assert.deepEqual(await query(server, 'select n from kept'), [{ n: 42 }]);
  await server.stop();
});

test('data of another major version is refused with advice', async () => {
  const old = { ...options, folder: join(folder, 'old') };
  await mkdir(join(old.folder, 'data'), { recursive: true });
  await writeFile(join(old.folder, 'data', 'PG_VERSION'), '14\n');
  await assert.rejects(startKeptServer(old), /PostgreSQL 14.*--reset/);
});

test('a throw-away server takes its folder with it', async () => {
  const own = { ...options, folder: join(folder, 'away'), port: await freePort(), throwAway: true };
  const server = await startKeptServer(own);
  await server.stop();
  assert.equal(existsSync(own.folder), false);
});
