import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { endTree, killTree } from '../process-tree.ts';
import { type Order, parseOrder, parseTask, type Report } from './orders.ts';
import { type PostgresServer, type StopMode, startServer } from './server.ts';

/**
 * A process in a session of its own, which a Ctrl-C in the terminal does not reach. It runs PostgreSQL for another
 * process and watches that one: when its input ends, for whatever reason, it ends the programs that were put under its
 * guard, then PostgreSQL. So nothing stays behind even when its owner is killed.
 */
const GRACE_MS = 20_000;

const guarded = new Set<number>();
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
const watch = (running: PostgresServer): void => {
  void running.ended.then((said) => {
    if (running === server) report({ kind: 'ended', message: said });
  });
};
let orders = Promise.resolve();
input.on('line', (line) => {
  const order = parseOrder(line);
  if (order.kind === 'guard') guarded.add(order.pid);
  else if (order.kind === 'immediate') mode = 'immediate';
  else orders = orders.then(() => obey(order));
});

async function obey(order: Exclude<Order, { readonly kind: 'guard' | 'immediate' }>): Promise<void> {
  if (order.kind !== 'resume') await server.stop(order.kind === 'halt' ? order.mode : 'fast');
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
for (const pid of guarded) {
  if (mode === 'fast') await endTree(pid, GRACE_MS);
  else killTree(pid);
}
await server.stop(mode);
if (task.throwAway) await rm(task.folder, { recursive: true, force: true });
process.exit(0);
