import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { freePort } from '@understudy/harness/free-port';
import { createTestDatabase } from '@understudy/harness/postgres';
import { openDatabase } from './database.ts';

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
