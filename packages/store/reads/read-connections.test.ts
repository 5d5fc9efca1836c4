import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import pg from 'pg';
import { openReadConnections, type ReadConnections } from './read-connections.ts';

/** Beyond this something hangs. */
const PATIENCE_MS = 60_000;

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connections: ReadConnections;

before(async () => {
  database = await createTestDatabase();
  connections = openReadConnections({
    url: database.url,
    size: 3,
    applicationName: 'read-connections-test',
    timeoutMs: 1_000,
  });
});
after(async () => {
  await connections.close();
  await database.drop();
});

const series = { name: 'series', text: `select i::text from generate_series($1::int, $2::int) i` };
const sleep = { name: 'sleep', text: `select pg_sleep($1::double precision)::text` };

test('gives the texts of the only column in order, to everybody their own', async () => {
  const asked = await Promise.all(
    Array.from({ length: 200 }, (_, from) => connections.texts(series, [from, from + 2])),
  );
  for (const [from, texts] of asked.entries())
    assert.deepEqual(texts, [from, from + 1, from + 2].map(String));
  assert.deepEqual(await connections.texts(series, [1, 0]), []);
});

test('takes numbers, texts, lists, booleans and null', async () => {
  const echo = {
    name: 'echo',
    text: 'select concat_ws($1::text, $2::bigint[], $3::text[], $4::boolean, $5::double precision)',
  };
  const values = ['|', [1, 2], ['a"b', 'c\\d', ''], true, 0.5];
  assert.deepEqual(await connections.texts(echo, values), ['{1,2}|{"a\\"b","c\\\\d",""}|t|0.5']);
  assert.deepEqual(
    await connections.texts({ name: 'isnull', text: 'select ($1::text is null)::text' }, [null]),
    ['true'],
  );
});

test('an error is that of its own statement, and of no other on the same connection', async () => {
  const divide = { name: 'divide', text: 'select (10 / $1::int)::text' };
  const outcomes = await Promise.allSettled([5, 0, 2, 0, 1].map((by) => connections.texts(divide, [by])));
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value[0] : outcome.reason.code)),
    ['2', '22012', '5', '22012', '10'],
  );
  await assert.rejects(connections.texts({ name: 'wrong', text: 'select nonsense' }, []), { code: '42703' });
  await assert.rejects(connections.texts({ name: 'wrong', text: 'select nonsense' }, []), { code: '42703' });
});

test('something slow holds up nobody else', { timeout: PATIENCE_MS }, async () => {
  const patient = openReadConnections({
    url: database.url,
    size: 3,
    applicationName: 'read-connections-patient',
    timeoutMs: PATIENCE_MS,
  });
  const locked = { name: 'locked', text: 'select pg_advisory_xact_lock_shared($1::bigint)::text' };
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query('select pg_advisory_lock(1), pg_advisory_lock(2)');
  // Slow for as long as the test wants it: until the locks are given back. Only what has lasted for a while counts as slow.
  const slow: Promise<readonly string[]>[] = [];
  for (const key of [1, 2]) {
    slow.push(patient.texts(locked, [key]));
    await until(`${key} wait`, async () => {
      const { rowCount } = await admin.query(
        `select from pg_stat_activity where application_name = 'read-connections-patient' and wait_event = 'advisory'
           and clock_timestamp() - query_start > interval '100 milliseconds'`,
      );
      return rowCount === key;
    });
  }
  assert.deepEqual(await patient.texts(series, [1, 1]), ['1']);
  assert.deepEqual(await patient.texts(series, [1, 1]), ['1']);
  await admin.query('select pg_advisory_unlock_all()');
  await Promise.all(slow);
  await admin.end();
  await patient.close();
});

test('nobody waits for those that do not answer, however many they are', {
  timeout: PATIENCE_MS,
}, async () => {
  const patient = openReadConnections({
    url: database.url,
    size: 8,
    applicationName: 'read-connections-many',
    timeoutMs: PATIENCE_MS,
  });
  const locked = { name: 'locked', text: 'select pg_advisory_xact_lock_shared($1::bigint)::text' };
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query('select pg_advisory_lock(7)');
  const slow = Array.from({ length: 6 }, () => patient.texts(locked, [7]));
  assert.deepEqual(await patient.texts(series, [1, 1]), ['1']);
  await admin.query('select pg_advisory_unlock_all()');
  await Promise.all(slow);
  await admin.end();
  await patient.close();
});

test('what takes PostgreSQL long is spread over connections, what is quick keeps to one', async () => {
  const spread = openReadConnections({
    url: database.url,
    size: 3,
    applicationName: 'read-connections-spread',
    timeoutMs: PATIENCE_MS,
  });
  const long = { name: 'long', text: 'select pg_backend_pid()::text from pg_sleep(0.01)' };
  const quick = { name: 'quick', text: 'select pg_backend_pid()::text' };
  const ask = async (what: typeof long, count: number): Promise<ReadonlySet<string | undefined>> =>
    new Set(
      (await Promise.all(Array.from({ length: count }, () => spread.texts(what, [])))).map(([pid]) => pid),
    );
  await until('all connections are used', async () => (await ask(long, 30)).size === 3);
  const pids = new Set<string | undefined>();
  for (let number = 0; number < 50; number += 1) for (const pid of await ask(quick, 1)) pids.add(pid);
  assert.equal(pids.size, 1);
  await spread.close();
});

test('PostgreSQL ends what takes too long', async () => {
  await assert.rejects(connections.texts(sleep, [30]), { code: '57014' });
  assert.deepEqual(await connections.texts(series, [4, 4]), ['4']);
});

test('a lost connection fails what was on its way and is replaced', async () => {
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  const { losses } = connections;
  const lost = assert.rejects(connections.texts(sleep, [0.9]));
  await until('the statement runs', async () => {
    const { rowCount } = await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'read-connections-test' and state = 'active' and query like '%pg_sleep%'`,
    );
    return rowCount !== 0;
  });
  await lost;
  await until('it is counted', () => connections.losses > losses);
  await until('another connection answers', async () => (await connections.texts(series, [6, 6]))[0] === '6');
  await admin.end();
});

test('a connection with too many prepared statements is replaced by another', async () => {
  const pids = new Set<string | undefined>();
  for (let number = 0; number < 1_100; number += 1) {
    const texts = await connections.texts(
      { name: `many${number}`, text: `select pg_backend_pid()::text as n${number}` },
      [],
    );
    pids.add(texts[0]);
  }
  assert.ok(pids.size > 1);
});

test('without PostgreSQL everybody is told', async () => {
  const nowhere = openReadConnections({
    url: 'postgres://nobody:nothing@127.0.0.1:1/none',
    size: 2,
    applicationName: 'nowhere',
    timeoutMs: 1_000,
  });
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => nowhere.texts(series, [1, 1])));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status),
    ['rejected', 'rejected', 'rejected'],
  );
  await nowhere.close();
});

test('reads from no server that takes no writes: what a standby shows may be of a moment ago', async () => {
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  const name = new URL(database.url).pathname.slice(1);
  const fresh = openReadConnections({
    url: database.url,
    size: 1,
    applicationName: 'read-only-test',
    timeoutMs: 1_000,
  });
  try {
    await pool.query(`alter database "${name}" set default_transaction_read_only = on`);
    await assert.rejects(fresh.texts(series, [1, 1]), { name: 'ReadOnlyServer' });
    await pool.query(`alter database "${name}" reset default_transaction_read_only`);
    assert.deepEqual(await fresh.texts(series, [1, 1]), ['1']);
  } finally {
    await fresh.close();
    await pool.end();
  }
});
