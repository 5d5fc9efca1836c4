import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@understudy/harness/free-port';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import pg from 'pg';
import { QueueAway } from './queue/queue-away.ts';
import { openQueueBackend } from './queue-backend.ts';
import { countQueues } from './queue-counts.ts';
import { QUEUE_NAMES } from './queues.ts';

/** The first use of a queue makes its tables. */
const PATIENCE_MS = 30_000;

const database = await createTestDatabase();
after(() => database.drop());

test('every queue is counted', async () => {
  const backend = openQueueBackend(database.url);
  try {
    await backend.queue('refresh').add([{ id: 'refresh-Shot', name: 'refresh', data: {}, forget: true }]);
    const counts = await countQueues(backend, PATIENCE_MS);
    assert.deepEqual(
      counts.map((count) => [count.queue, count.waiting]),
      QUEUE_NAMES.map((name) => [name, name === 'refresh' ? 1 : 0]),
    );
  } finally {
    await backend.close();
  }
});

test('a queue opened while PostgreSQL is away works once it is there', async () => {
  const later = new URL(database.url);
  later.pathname += '_later';
  const backend = openQueueBackend(later.toString());
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await assert.rejects(countQueues(backend));
    await client.query(`create database ${later.pathname.slice(1)}`);
    assert.equal((await countQueues(backend, PATIENCE_MS)).length, QUEUE_NAMES.length);
  } finally {
    await backend.close();
    await client.query(`drop database if exists ${later.pathname.slice(1)} with (force)`);
    await client.end();
  }
});

test('a worker begun while PostgreSQL is away works once it is there', async () => {
  const later = new URL(database.url);
  later.pathname += '_worker';
  const backend = openQueueBackend(later.toString());
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const wasAway = Promise.withResolvers<void>();
  const isDone = Promise.withResolvers<unknown>();
  backend.worker('refresh', async (job) => isDone.resolve(job.name), {
    concurrency: 1,
    onError: () => wasAway.resolve(),
    onFailed: isDone.reject,
  });
  try {
    await wasAway.promise;
    await client.query(`create database ${later.pathname.slice(1)}`);
    await until('a job is added', async () => {
      await backend.queue('refresh').add([{ id: 'refresh-Shot', name: 'Shot', data: {}, forget: true }]);
      return true;
    });
    await until('the job is done', () => Promise.race([isDone.promise, delay(0, false)]));
    assert.equal(await isDone.promise, 'Shot');
  } finally {
    await backend.close();
    await client.query(`drop database if exists ${later.pathname.slice(1)} with (force)`);
    await client.end();
  }
});

test('a Redis that is away is reported in time', async () => {
  const backend = openQueueBackend(`redis://127.0.0.1:${await freePort()}`);
  await assert.rejects(countQueues(backend, 200), QueueAway);
  await backend.close();
});
