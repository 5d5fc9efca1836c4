import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { globSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { leftoversOf, RUN_VARIABLE } from './leftovers.ts';
import { startThrowAwayServer } from './postgres.ts';

/**
 * Runs every test file of the repository, or those given as arguments, over one PostgreSQL server. First the files of
 * packages and services, two at a time; then those of `test/`, most of which start whole stacks of processes and would
 * starve each other, one at a time. Fails as well when a test left a process behind.
 */
const PHASES = [
  { name: 'packages and services', files: 'packages,services,deploy,bench', atOnce: 2 },
  { name: 'end to end', files: 'test', atOnce: 1 },
] as const;
const REPORTER = new URL('./closing-reporter.ts', import.meta.url).href;
/** A file of tests that takes longer hangs; a busy machine may need minutes to start a dozen processes. */
const TEST_TIMEOUT_MS = 20 * 60_000;
/** How long what a test started may take to end after it. */
const LEFTOVER_GRACE_MS = 5_000;
const EXIT_STOPPED = 130;

const given = process.argv.slice(2);
const runId = randomUUID();
const server = await startThrowAwayServer();
let stopped = false;
let runner: ReturnType<typeof spawn> | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stopped = true;
    runner?.kill(signal);
  });
}

async function runFiles(files: readonly string[], atOnce: number): Promise<boolean> {
  const flags = [
    `--test-concurrency=${atOnce}`,
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    `--test-reporter=${REPORTER}`,
  ];
  const child = spawn(process.execPath, ['--test', ...flags, ...files], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, TEST_DATABASE_URL: server.url, [RUN_VARIABLE]: runId },
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
if (given.length > 0) passed = await runFiles(given, 2);
else {
  for (const { name, files, atOnce } of PHASES) {
    if (stopped) break;
    console.log(`understudy: tests of ${name}`);
    const folders = files.split(',').flatMap((folder) => globSync(`${folder}/**/*.test.ts`));
    const found = folders.filter((file) => !/(^|\/)(node_modules|dist)\//.test(file)).sort();
    if (found.length > 0 && !(await runFiles(found, atOnce))) passed = false;
  }
}
if (!(await sweep()) && !stopped) passed = false;
await server.stop();
console.log(`understudy: tests took ${Math.round((performance.now() - startedAt) / 1_000)} s`);
process.exit(stopped ? EXIT_STOPPED : passed ? 0 : 1);
