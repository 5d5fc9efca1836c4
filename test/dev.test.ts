import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { commandOf, descendantsOf, isAlive } from '@understudy/dev/process-tree';
import { ProductProcess, ROOT } from '@understudy/harness/child-process';
import { freePort } from '@understudy/harness/free-port';
import { program } from '@understudy/harness/programs';
import { until } from '@understudy/harness/until';

/** `bin/dev`, as a person uses it: started, stopped, started again, killed, pointed at another site. */
const START_TIMEOUT_MS = 240_000;

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Every process that belongs to it, but itself. */
  pids(): readonly number[];
  ended(): Promise<number | null>;
}

let folder: string;
let ports: { readonly reader: number; readonly sandbox: number; readonly dashboard: number };
const started: Running[] = [];

function dev(...args: string[]): Running {
  const flags = [
    ...['--data', folder, '--reader-port', String(ports.reader), '--dashboard-port', String(ports.dashboard)],
    ...['--sandbox-port', String(ports.sandbox), '--poller-interval-ms', '300'],
  ];
  const child = spawn(process.execPath, ['packages/dev/main.ts', ...flags, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const running: Running = {
    child,
    output: () => text,
    pids: () => descendantsOf(child.pid ?? 0),
    ended: () => ended,
  };
  started.push(running);
  return running;
}

async function says(running: Running, text: string): Promise<void> {
  const options = { timeoutMs: START_TIMEOUT_MS, everyMs: 200 };
  const hasEnded = (): boolean => running.child.exitCode !== null || running.child.signalCode !== null;
  try {
    await until(`bin/dev says: ${text}`, () => running.output().includes(text) || hasEnded(), options);
    assert.ok(running.output().includes(text), `bin/dev ended without saying: ${text}`);
  } catch (error) {
    console.error(running.output());
    throw error;
  }
}

/** The process id of a service. */
function runs(running: Running, service: string): number {
  const isIts = (pid: number): boolean =>
    commandOf(pid) === 'node main.ts' && readlinkSync(`/proc/${pid}/cwd`).endsWith(`services/${service}`);
  const pid = running.pids().find(isIts);
  assert.ok(pid !== undefined, `${service} runs`);
  return pid;
}

async function call(
  url: string,
  method: string,
  payload: object,
): Promise<{ readonly results: unknown; readonly source: string }> {
  const reply = await fetch(`${url}/api3/json`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      method_name: method,
      params: [{ script_name: 'pipeline', script_key: 'pipeline-key' }, payload],
    }),
  });
  const body = (await reply.json()) as { readonly results?: unknown };
  return { results: body.results, source: reply.headers.get('x-understudy') ?? '' };
}

const shotsNamed = (code: string): object => ({
  type: 'Shot',
  return_fields: ['code'],
  filters: { logical_operator: 'and', conditions: [{ path: 'code', relation: 'is', values: [code] }] },
  paging: { entities_per_page: 10, current_page: 1 },
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-dev-'));
  await chmod(folder, 0o755);
  ports = { reader: await freePort(), sandbox: await freePort(), dashboard: await freePort() };
});
afterEach(async () => {
  for (const { child, ended } of started) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended();
  }
  // The next one may have the folder once all of this one has ended.
  await until('PostgreSQL is gone', () => !existsSync(join(folder, 'postgres', 'data', 'postmaster.pid')), {
    timeoutMs: 60_000,
  });
});
after(() => rm(folder, { recursive: true, force: true }));

test('a first start fills the replica and serves it; Ctrl-C leaves nothing running', async () => {
  const running = dev('--scale', '200');
  await says(running, 'Understudy runs.');
  await says(running, 'Reads are answered from the replica.');
  assert.match(running.output(), /first full scan: 100 %/);
  assert.match(running.output(), /from shotgun_api3 import Shotgun/);
  const reader = `http://127.0.0.1:${ports.reader}`;
  const made = await call(reader, 'create', {
    type: 'Shot',
    fields: [
      { field_name: 'code', value: 'made_before_the_stop' },
      { field_name: 'project', value: { type: 'Project', id: 1 } },
    ],
    return_fields: ['code'],
  });
  assert.ok(made.results);
  const found = await call(reader, 'read', shotsNamed('made_before_the_stop'));
  assert.match(found.source, /^replica/);
  const config = await readFile(join(folder, 'config.yaml'), 'utf8');
  assert.match(config, /scriptName: understudy/);
  const pids = running.pids();
  assert.ok(pids.length > 6);
  running.child.kill('SIGINT');
  assert.equal(await running.ended(), 0, running.output());
  assert.deepEqual(pids.filter(isAlive), []);
  assert.equal(existsSync(join(folder, 'postgres', 'data', 'postmaster.pid')), false);
  assert.equal(existsSync(join(folder, 'config.yaml')), false);
});

test('a second start goes on with the data that was there; when it is killed, everything ends', async () => {
  // PostgreSQL gives way: a port that the last start chose for it may be meant for another now.
  const keptFile = join(folder, 'kept.json');
  const kept = JSON.parse(await readFile(keptFile, 'utf8')) as object;
  await writeFile(keptFile, JSON.stringify({ ...kept, postgresPort: ports.sandbox }));
  const running = dev('--scale', '200');
  await says(running, 'Understudy runs.');
  await says(running, 'follows the site again');
  for (const url of [`http://127.0.0.1:${ports.reader}`, `http://127.0.0.1:${ports.sandbox}`]) {
    const { results } = await call(url, 'read', shotsNamed('made_before_the_stop'));
    assert.equal((results as { readonly entities: readonly unknown[] }).entities.length, 1, url);
  }
  const other = dev();
  assert.equal(await other.ended(), 70);
  assert.match(other.output(), /runs already/);
  const dashboard = `http://127.0.0.1:${ports.dashboard}`;
  process.kill(runs(running, 'dashboard'), 'SIGKILL');
  await says(running, 'dashboard ended and is started again');
  await until('it answers again', async () => (await fetch(dashboard)).ok, { timeoutMs: START_TIMEOUT_MS });
  const pids = running.pids();
  running.child.kill('SIGKILL');
  await running.ended();
  await until('everything has ended', () => pids.every((pid) => !isAlive(pid)), { timeoutMs: 60_000 });
});

test('a port that is taken is named, with the flag that chooses another', async () => {
  const taken = createServer().listen(ports.reader, '127.0.0.1');
  try {
    const refused = dev();
    assert.equal(await refused.ended(), 70);
    assert.match(
      refused.output(),
      new RegExp(`port ${ports.reader} of the api-reader is taken.*--reader-port`),
    );
  } finally {
    taken.close();
  }
});

test('another site is followed when it is named, with a database of its own', async () => {
  const port = await freePort();
  const site = new ProductProcess(
    'another site',
    [...program('services/sandbox-site'), '--sandbox-port', String(port), '--sandbox-scale', '60'],
    process.env,
  );
  site.start();
  try {
    const url = `http://127.0.0.1:${port}`;
    await until('the other site answers', async () => (await fetch(url)).ok, { timeoutMs: 60_000 });
    const running = dev('--site', url, '--script', 'understudy', '--key', 'sandbox-key');
    await says(running, 'Reads are answered from the replica.');
    const reader = `http://127.0.0.1:${ports.reader}`;
    const here = await call(reader, 'read', shotsNamed('made_before_the_stop'));
    assert.match(here.source, /^replica/);
    assert.deepEqual((here.results as { readonly entities: readonly unknown[] }).entities, []);
    assert.equal(running.output().includes('sandbox-site:'), false);
    running.child.kill('SIGTERM');
    assert.equal(await running.ended(), 0);
  } finally {
    await site.end('SIGKILL');
  }
});

test('a real site without a key is refused', async () => {
  const refused = dev('--site', 'https://studio.example.com');
  assert.equal(await refused.ended(), 70);
  assert.match(refused.output(), /needs --script and --key/);
});
