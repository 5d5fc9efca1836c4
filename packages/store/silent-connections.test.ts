import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type LossyNetwork, startLossyNetwork } from '@understudy/harness/lossy-network';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import pg from 'pg';
import { breakSilentConnections } from './silent-connections.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let network: LossyNetwork;
before(async () => {
  database = await createTestDatabase();
  network = await startLossyNetwork(database.url);
});
after(async () => {
  network?.close();
  await database?.drop();
});

const poolWatched = (t: { after(work: () => Promise<void>): void }): pg.Pool => {
  const { url } = network;
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => {
    // The connection that was broken.
  });
  const stop = breakSilentConnections(pool, url, { silentMs: 100, everyMs: 20 });
  t.after(async () => {
    stop();
    await pool.end();
  });
  return pool;
};

test('a query that never reaches PostgreSQL fails, and the pool goes on with another connection', async (t) => {
  const pool = poolWatched(t);
  await pool.query('select 1');
  network.loseEverything();
  await assert.rejects(pool.query('select 2'), /went silent/);
  assert.deepEqual((await pool.query('select 3 as n')).rows, [{ n: 3 }]);
});

test('a query that takes long is left to work', async (t) => {
  const pool = poolWatched(t);
  const working = pool.query('select pg_sleep(0.6), 4 as n');
  await until(
    'it was asked after',
    async () => {
      const { rows } = await pool.query(
        `select from pg_stat_activity where application_name = 'understudy silence'`,
      );
      return rows.length > 0;
    },
    { everyMs: 1 },
  );
  assert.equal((await working).rows[0].n, 4);
});
