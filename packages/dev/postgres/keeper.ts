import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import pRetry from 'p-retry';
import { endTree, killTree } from '../process-tree.ts';
import { type Order, parseOrder, parseTask, type Report } from './orders.ts';
import { type PostgresServer, type StopMode, startServer } from './server.ts';

/**
 * A process in a session of its own, which a Ctrl-C in the terminal does not reach. It runs PostgreSQL for another
 * process and watches that one: when its input ends, for whatever reason, it ends the programs that were put under its
 * guard, then PostgreSQL. So nothing stays behind even when its owner is killed.
 */
const GRACE_MS = 20_000;
/** One that ends so soon after its start, so often in a row, is broken. */
const SHORT_LIFE_MS = 20_000;
const SHORT_LIVES_MAX = 5;
/** Processes that a killed one leaves hold its memory for a moment. */
const START_RETRIES = 20;
const START_RETRY_MS = 500;

const guarded = new Set<number>();
let startedAt = 0;
let shortLives = 0;
let mode: StopMode = 'fast';

const report = (content: Report): void => {
  process.stdout.write(`${JSON.stringify(content)}\n`);
};
process.stdout.on('error', () => {
  // The owner is gone; the end of our input says so as well.
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => process.stdin.destroy());

const input = createInterface({ input: process.stdin });
const closed = new Promise<void>((resolve) => {
  input.on('close', resolve);
  process.stdin.on('close', resolve);
});
const firstLine = new Promise<string>((resolve) => {
  input.once('line', resolve);
});
const given = await Promise.race([firstLine, closed.then(() => null)]);
if (given === null) process.exit(0);
const task = parseTask(given);

let server: PostgresServer;
/** The one that was told to stop. */
let told: PostgresServer | undefined;
let orders = Promise.resolve();
const watch = (running: PostgresServer): void => {
  startedAt = performance.now();
  void running.ended.then((said) => {
    orders = orders.then(() => revive(running, said));
  });
};
input.on('line', (line) => {
  const order = parseOrder(line);
  if (order.kind === 'guard') guarded.add(order.pid);
  else if (order.kind === 'immediate') mode = 'immediate';
  else orders = orders.then(() => obey(order));
});

/** Starts one again that ended by itself: whoever lost it over a crash or a mistake should not lose all else as well. */
async function revive(ended: PostgresServer, said: string): Promise<void> {
  if (ended !== server || ended === told) return;
  shortLives = performance.now() - startedAt < SHORT_LIFE_MS ? shortLives + 1 : 0;
  // What is thrown away may have lost data, and tests want to know.
  if (task.throwAway || shortLives > SHORT_LIVES_MAX) return report({ kind: 'ended', message: said });
  try {
    server = await pRetry(() => startServer(task), {
      retries: START_RETRIES,
      minTimeout: START_RETRY_MS,
      factor: 1,
    });
  } catch (error) {
    return report({ kind: 'ended', message: `${said}\n${error instanceof Error ? error.message : error}` });
  }
  watch(server);
  report({ kind: 'revived', message: said });
}

async function obey(order: Exclude<Order, { readonly kind: 'guard' | 'immediate' }>): Promise<void> {
  if (order.kind !== 'resume') {
    told = server;
    await server.stop(order.kind === 'halt' ? order.mode : 'fast');
  }
  if (order.kind === 'halt') return report({ kind: 'halted' });
  server = await startServer(task);
  watch(server);
  report({ kind: 'ready', url: server.url });
}

try {
  server = await startServer(task);
} catch (error) {
  report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  process.exit(1);
}
watch(server);
report({ kind: 'ready', url: server.url });

await closed;
await orders;
told = server;
for (const pid of guarded) {
  if (mode === 'fast') await endTree(pid, GRACE_MS);
  else killTree(pid);
}
await server.stop(mode);
if (task.throwAway) await rm(task.folder, { recursive: true, force: true });
process.exit(0);
