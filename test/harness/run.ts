import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { globSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { leftoversOf, RUN_VARIABLE } from './leftovers.ts';
import { startThrowAwayServer } from './postgres.ts';
import { buildPrograms, PROGRAMS_VARIABLE } from './programs.ts';

/**
 * Runs every test file of the repository, or those given as arguments, over one PostgreSQL server: first
 * the files of packages and services, then those of `test/`. Fails as well when a test left a process behind.
 */
const PHASES = [
  { name: 'packages and services', files: 'packages,services,deploy,bench' },
  { name: 'end to end', files: 'test' },
] as const;
/** Those that take longest begin first, so that none is left to run alone at the end. */
const LONGEST = [
  'test/generations.test.ts',
  'test/services-over-redis.test.ts',
  'test/services-over-postgres.test.ts',
  'test/dev.test.ts',
];
/** How long what a test started may take to end after it. */
const LEFTOVER_GRACE_MS = 5_000;
const EXIT_STOPPED = 130;
const RUN_FILES = fileURLToPath(new URL('./run-files.ts', import.meta.url));

const given = process.argv.slice(2);
const runId = randomUUID();
const server = await startThrowAwayServer();
const programs = await buildPrograms();
let stopped = false;
let runner: ReturnType<typeof spawn> | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stopped = true;
    runner?.kill(signal);
  });
}

async function runFiles(files: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, [RUN_FILES, ...files], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      TEST_DATABASE_URL: server.url,
      [PROGRAMS_VARIABLE]: programs.folder,
      [RUN_VARIABLE]: runId,
    },
  });
  runner = child;
  if (child.pid !== undefined) server.guard(child.pid);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return code === 0;
}

/** Ends what tests left behind. @returns whether there was nothing. */
async function sweep(): Promise<boolean> {
  const deadline = performance.now() + LEFTOVER_GRACE_MS;
  while (!stopped && leftoversOf(runId).length > 0 && performance.now() < deadline) await delay(100);
  const left = leftoversOf(runId);
  for (const { pid, command } of left) {
    if (!stopped) console.error(`left behind by a test, killed: ${pid} ${command}`);
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
  return left.length === 0;
}

const startedAt = performance.now();
let passed = true;
if (given.length > 0) passed = await runFiles(given);
else {
  for (const { name, files } of PHASES) {
    if (stopped) break;
    console.log(`understudy: tests of ${name}`);
    const folders = files.split(',').flatMap((folder) => globSync(`${folder}/**/*.test.ts`));
    const found = folders.filter((file) => !/(^|\/)(node_modules|dist)\//.test(file)).sort();
    const first = LONGEST.filter((file) => found.includes(file));
    const others = found.filter((file) => !first.includes(file));
    if (found.length > 0 && !(await runFiles([...first, ...others]))) passed = false;
  }
}
if (!(await sweep()) && !stopped) passed = false;
await server.stop();
await programs.remove();
console.log(`understudy: tests took ${Math.round((performance.now() - startedAt) / 1_000)} s`);
process.exit(stopped ? EXIT_STOPPED : passed ? 0 : 1);
