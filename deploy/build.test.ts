import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ProductProcess } from '@understudy/harness/child-process';
import { freePort } from '@understudy/harness/free-port';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { PROGRAMS } from './bundle.ts';

/** The tree that is deployed, on its own in a folder without packages above it. */
const run = promisify(execFile);
const BUILD = fileURLToPath(new URL('build.ts', import.meta.url));

let tree: string;
before(async () => {
  tree = await mkdtemp(join(tmpdir(), 'understudy-tree-'));
  await run(process.execPath, [BUILD, tree]);
});
after(() => rm(tree, { recursive: true, force: true }));

test('every program says how it is used', async () => {
  // What they share is compiled once.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(tree, 'cache') };
  for (const program of PROGRAMS) {
    const { stdout } = await run(process.execPath, [join(tree, program, 'main.js'), '--help'], { env });
    assert.match(stdout, /^Usage: |every key may be given/m, program);
  }
});

test('the command finds the files that come with it', async () => {
  const { stdout } = await run(join(tree, 'bin', 'understudy'), ['config', '--json'], {
    env: { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env['PATH']}` },
  });
  assert.match(stdout, /schema/);
  assert.ok((await readdir(join(tree, 'schema'))).includes('sandbox-site.yaml'));
});

test('the dashboard serves its own page and that of the queues', async () => {
  const database = await createTestDatabase();
  const port = await freePort();
  const dashboard = new ProductProcess(
    'dashboard',
    [process.execPath, join(tree, 'services/dashboard/main.js')],
    {
      ...process.env,
      DATABASE_URL: database.url,
      QUEUE_URL: database.url,
      UNDERSTUDY_DASHBOARD_PORT: String(port),
    },
  );
  dashboard.start();
  try {
    const url = `http://127.0.0.1:${port}`;
    await until('the dashboard answers', async () => (await fetch(url)).ok, { timeoutMs: 60_000 });
    assert.match(await (await fetch(url)).text(), /<title>/);
    const queues = await (await fetch(`${url}/queues/`)).text();
    const script = /src="([^"]+\.js)"/.exec(queues)?.[1];
    assert.ok(script, queues.slice(0, 500));
    assert.ok((await fetch(new URL(script, `${url}/queues/`))).ok);
  } catch (error) {
    console.error(dashboard.output);
    throw error;
  } finally {
    await dashboard.end('SIGKILL');
    await database.drop();
  }
});

test('the licences of the packages in it come with it', async () => {
  const licences = await readFile(join(tree, 'LICENSES-OF-PACKAGES.txt'), 'utf8');
  for (const name of ['bullmq', 'fastify', '@mikro-orm/core'])
    assert.ok(licences.includes(`\n${name} `), name);
});
