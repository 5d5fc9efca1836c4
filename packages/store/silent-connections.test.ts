import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import pg from 'pg';
import { breakSilentConnections } from './silent-connections.ts';

/** A network between us and PostgreSQL that can lose everything without a word. */
let database: Awaited<ReturnType<typeof createTestDatabase>>;
let url: string;
const sockets: Socket[] = [];
const network = createServer((near) => {
  const target = new URL(database.url);
  const far = connect(Number(target.port), target.hostname);
  sockets.push(near, far);
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
  near.on('close', () => far.destroy());
  near.pipe(far);
  far.pipe(near);
});
before(async () => {
  database = await createTestDatabase();
  await new Promise<void>((resolve) => network.listen(0, '127.0.0.1', resolve));
  const through = new URL(database.url);
  through.port = String((network.address() as { port: number }).port);
  url = through.toString();
});
after(async () => {
  for (const socket of sockets) socket.destroy();
  network.close();
  await database.drop();
});

/** From now on nothing passes through the connections that are open. */
function loseEverything(): void {
  for (const socket of sockets) {
    socket.unpipe();
    socket.pause();
  }
}

const poolWatched = (t: { after(work: () => Promise<void>): void }): pg.Pool => {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => {
    // The connection that was broken.
  });
  const stop = breakSilentConnections(pool, { url, silentMs: 100, everyMs: 20 });
  t.after(async () => {
    stop();
    await pool.end();
  });
  return pool;
};

test('a query that never reaches PostgreSQL fails, and the pool goes on with another connection', async (t) => {
  const pool = poolWatched(t);
  await pool.query('select 1');
  loseEverything();
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
