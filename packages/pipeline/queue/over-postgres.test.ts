import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startLossyNetwork } from '@understudy/harness/lossy-network';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import type { JobWorker } from '../queue-backend.ts';
import { overPostgres } from './over-postgres.ts';

const job = (id: string) => ({ id, name: 'refresh', data: { v: 1, id }, forget: true });

/** A queue, and a worker of it beyond a network that loses connections; what it did and the errors it met. */
async function rig(t: TestContext) {
  const database = await createTestDatabase();
  const network = await startLossyNetwork(database.url);
  const queue = overPostgres(database.url).queue('refresh');
  const errors: string[] = [];
  const done: string[] = [];
  const workers: JobWorker[] = [];
  const work = (): void => {
    const worker = overPostgres(network.url, { silentMs: 200, everyMs: 50 }).worker(
      'refresh',
      async ({ data }) => {
        done.push((data as { id: string }).id);
      },
      { concurrency: 1, onError: ({ message }) => errors.push(message), onFailed: () => {} },
    );
    workers.push(worker);
  };
  t.after(async () => {
    for (const worker of workers) await worker.close(async () => false);
    await queue.close();
    network.close();
    await database.drop();
  });
  const isDone = (id: string): Promise<boolean> =>
    until(`${id} is done`, async () => done.includes(id), { timeoutMs: 60_000 });
  return { queue, network, work, isDone, errors };
}

test('a worker whose connections are lost without a word goes on over others', async (t) => {
  const { queue, network, work, isDone, errors } = await rig(t);
  work();
  await queue.add([job('first')]);
  await isDone('first');
  network.loseEverything();
  await queue.add([job('second')]);
  await isDone('second');
  assert.ok(
    errors.some((message) => /silent/.test(message)),
    errors.join('\n'),
  );
});

test('a worker that lost its connections while it began to listen finds what came meanwhile', async (t) => {
  const { queue, network, work, isDone } = await rig(t);
  await queue.add([job('first')]);
  const lost = network.loseEverythingAt('LISTEN bullmq_jobs');
  work();
  await lost;
  await queue.add([job('second')]);
  await network.loseEverythingAt('AS present');
  await isDone('second');
});

test('a worker that lost the connection it listens over without a word listens over another', async (t) => {
  const { queue, network, work, isDone } = await rig(t);
  await queue.add([job('first')]);
  // It listens when it looks whether there is a job.
  const lost = network.loseEverythingAt('AS present');
  work();
  await lost;
  let listensAgain = false;
  void network.loseEverythingAt('LISTEN bullmq_jobs').then(() => {
    listensAgain = true;
  });
  await until('it listens again', async () => listensAgain, { timeoutMs: 60_000 });
  await queue.add([job('second')]);
  await isDone('second');
});
