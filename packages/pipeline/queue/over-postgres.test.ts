import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startLossyNetwork } from '@understudy/harness/lossy-network';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { overPostgres } from './over-postgres.ts';

const job = (id: string) => ({ id, name: 'refresh', data: { v: 1, id }, forget: true });

test('a worker whose connections are lost without a word goes on over others', async (t) => {
  const database = await createTestDatabase();
  const network = await startLossyNetwork(database.url);
  const near = overPostgres(database.url).queue('refresh');
  const errors: string[] = [];
  const done: string[] = [];
  const worker = overPostgres(network.url, { silentMs: 200, everyMs: 50 }).worker(
    'refresh',
    async ({ data }) => {
      done.push((data as { id: string }).id);
    },
    { concurrency: 1, onError: ({ message }) => errors.push(message), onFailed: () => {} },
  );
  t.after(async () => {
    await worker.close(async () => true);
    await near.close();
    network.close();
    await database.drop();
  });
  await near.add([job('first')]);
  await until('it works', async () => done.includes('first'));
  network.loseEverything();
  await near.add([job('second')]);
  await until('it works again', async () => done.includes('second'), { timeoutMs: 60_000 });
  assert.ok(
    errors.some((message) => /silent/.test(message)),
    errors.join('\n'),
  );
});
