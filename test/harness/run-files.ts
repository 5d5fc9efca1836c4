import { run } from 'node:test';
import closingReporter from './closing-reporter.ts';

/**
 * Runs files of tests, some at a time and in the order given (`node --test` sorts them by name).
 * Ends with 1 when a test failed.
 */
/** More take longer than these one after the other: while a test waits for the processor, its traffic goes on. */
const AT_ONCE = 2;
/** A file of tests that takes longer hangs; a busy machine may need minutes to start a dozen processes. */
const TIMEOUT_MS = 20 * 60_000;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());

const tests = run({
  files: process.argv.slice(2),
  concurrency: AT_ONCE,
  timeout: TIMEOUT_MS,
  signal: stopping.signal,
});
tests.once('test:fail', () => {
  process.exitCode = 1;
});
tests.compose(closingReporter).pipe(process.stdout);
