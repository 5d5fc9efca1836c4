import { run } from 'node:test';
import closingReporter from './closing-reporter.ts';

/**
 * Runs files of tests, some at a time and in the order given (`node --test` sorts them by name).
 * Ends with 1 when a test failed.
 */
/** More take longer than these one after the other: while a test waits for the processor, its traffic goes on. */
const AT_ONCE = 2;
/** For whatever a file's own limit does not end. */
const ALL_MS = 40 * 60_000;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());

const tests = run({
  files: process.argv.slice(2),
  concurrency: AT_ONCE,
  execArgv: ['--import', import.meta.resolve('./time-limit.ts')],
  signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(ALL_MS)]),
});
tests.once('test:fail', () => {
  process.exitCode = 1;
});
tests.compose(closingReporter).pipe(process.stdout);
