import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@understudy/harness/free-port';
import { startLossyNetwork } from '@understudy/harness/lossy-network';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { openDatabase } from './database.ts';
import { underMigrationLock } from './migrate.ts';

const database = await createTestDatabase();
after(() => database.drop());

const optionsFor = (url: string): Parameters<typeof openDatabase>[0] => ({
  url,
  poolSize: 3,
  applicationName: 'test',
});

test('every connection gives times as dates, the first one too', async () => {
  const db = await openDatabase(optionsFor(database.url));
  try {
    const ask = (): Promise<{ rows: { at: unknown }[] }> =>
      db.pool.query('select now() as at, pg_sleep(0.05)');
    const answers = await Promise.all([ask(), ask(), ask()]);
    assert.ok(answers.every(({ rows }) => rows[0]?.at instanceof Date));
  } finally {
    await db.close();
  }
});

test('a database that is away can be opened, and says so when it is asked', async () => {
  const db = await openDatabase(optionsFor(`postgres://u:p@127.0.0.1:${await freePort()}/none`));
  await assert.rejects(db.pool.query('select 1'), { code: 'ECONNREFUSED' });
  await db.close();
});

test('closing leaves no connection behind that would keep the process alive', async () => {
  const db = await openDatabase(optionsFor(database.url));
  await Promise.all([db.pool.query('select 1'), db.snapshot((tx) => tx.query('select 1'))]);
  assert.ok(db.pool.totalCount > 0);
  await db.close();
  assert.equal(db.pool.totalCount, 0);
});

test('a connection in use that breaks between two of its queries fails the next one, and nothing else', async () => {
  const db = await openDatabase(optionsFor(database.url));
  try {
    const client = await db.pool.connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
    await db.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    await ended;
    await assert.rejects(client.query('select 1'));
    client.release(true);
    assert.equal((await db.pool.query('select 1')).rowCount, 1);
  } finally {
    await db.close();
  }
});

test('what a vanished machine had locked is free again', async (t) => {
  const network = await startLossyNetwork(database.url);
  const far = await openDatabase({ ...optionsFor(network.url), abandonedMs: 500 });
  const near = await openDatabase(optionsFor(database.url));
  t.after(async () => {
    network.close();
    await Promise.all([far.close(), near.close()]);
  });
  await near.pool.query('create table held as select 1 as id');
  const locked = Promise.withResolvers<void>();
  const vanished = Promise.withResolvers<void>();
  const transaction = far.transaction(async (tx) => {
    await tx.query('update held set id = 2');
    locked.resolve();
    await vanished.promise;
  });
  const migration = Promise.withResolvers<void>();
  const migrating = underMigrationLock(far, async () => {
    migration.resolve();
    await vanished.promise;
  });
  await Promise.all([locked.promise, migration.promise]);
  network.loseEverything();
  await near.pool.query('update held set id = 3');
  await underMigrationLock(near, async () => {});
  assert.deepEqual((await near.pool.query('select id from held')).rows, [{ id: 3 }]);
  network.close();
  vanished.resolve();
  await migrating;
  await assert.rejects(transaction);
});

test('a lock under which somebody works for long is kept', async () => {
  const db = await openDatabase({ ...optionsFor(database.url), abandonedMs: 200 });
  try {
    let isFree = false;
    await underMigrationLock(db, async () => {
      void underMigrationLock(db, async () => {
        isFree = true;
      });
      // Time is what is tested: several times that after which it would be taken for abandoned.
      await delay(1_000);
      assert.equal(isFree, false);
    });
    await until('the next has it', async () => isFree);
  } finally {
    await db.close();
  }
});
