import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestServer, type TestServer } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { marksOf } from '@understudy/store/change-marks';
import { type Database, openDatabase } from '@understudy/store/database';
import { migrate } from '@understudy/store/migrate';
import { openReadConnections, type ReadConnections } from '@understudy/store/reads/read-connections';
import { syncEntityTables } from '@understudy/store/sync-entity-tables';
import { pino } from 'pino';
import { type ChangeWatch, createChangeWatch } from './change-watch.ts';
import { createKeptAnswers, type KeptAnswers } from './kept-answers.ts';

/**
 * Many ask for the same few rows all the time while others write to them, the connection that watches for changes is
 * cut again and again, and PostgreSQL crashes and restarts. Whoever asks must get what was acknowledged before, or more.
 * The server is this test's own: nobody else's may crash.
 */
const ROWS = 4;
const ASKERS = 12;
const SCHEMA = parseCachedSchema('types: { Shot: { frames: number }, Step: { code: text } }');
const WATCHING = 'watches changes';

let server: TestServer;
let db: Database;
let statements: ReadConnections;
let looks: ReadConnections;
let changes: ChangeWatch;
let answers: KeptAnswers;

before(async () => {
  server = await startTestServer();
  const options = { url: server.url, poolSize: ROWS + 1, applicationName: 'test' };
  db = await openDatabase(options);
  await migrate(db);
  await syncEntityTables(db, options, SCHEMA);
  await db.pool.query(
    `insert into site.shot (id, frames, _active, _fetched_tick) select id, 0, true, 1 from generate_series(1, ${ROWS}) id`,
  );
  // What is acknowledged is kept through a crash; the server of tests is careless otherwise.
  await db.pool.query('alter database postgres set synchronous_commit = on');
  await server.restart();
  const reading = { url: server.url, timeoutMs: 10_000 };
  statements = openReadConnections({ ...reading, size: 3, applicationName: 'reads' });
  looks = openReadConnections({ ...reading, size: 1, applicationName: WATCHING });
  changes = createChangeWatch(looks, db.pool, pino({ level: 'silent' }));
  answers = createKeptAnswers(changes, 1_000_000);
});
after(async () => {
  await statements?.close();
  await looks?.close();
  await db?.close();
  await server?.stop();
});

async function ask(id: number): Promise<number> {
  const text = 'select frames::text from site."shot" where id = $1';
  const answer = await answers.answer(`${id}`, async () => ({
    body: Buffer.from((await statements.texts({ name: 'one', text }, [id]))[0] ?? ''),
    marks: () => marksOf(text),
  }));
  return Number(answer.bytes.toString());
}

/** PostgreSQL is away for a moment: whoever asks or writes tries again. */
async function orAway<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch {
    await new Promise((resolve) => setImmediate(resolve));
    return null;
  }
}

const backend = async (name: string): Promise<number | undefined> => {
  const { rows } = await db.pool.query<{ pid: number }>(
    'select pid from pg_stat_activity where application_name = $1',
    [name],
  );
  return rows[0]?.pid;
};

test('never one stale answer while rows are written, the watch is cut and PostgreSQL crashes and restarts', async () => {
  const acknowledged = new Array<number>(ROWS + 1).fill(0);
  let asked = 0;
  let isOver = false;
  const asker = async (id: number): Promise<void> => {
    while (!isOver) {
      const least = acknowledged[id] ?? 0;
      const seen = await orAway(() => ask(id));
      if (seen === null) continue;
      asked += 1;
      assert.ok(seen >= least, `row ${id}: answered ${seen} after ${least} had been acknowledged`);
    }
  };
  const writer = async (id: number): Promise<void> => {
    for (let number = 1; !isOver; number += 1) {
      const written = await orAway(() =>
        db.pool.query('update site.shot set frames = greatest(frames, $2) where id = $1', [id, number]),
      );
      if (written !== null) acknowledged[id] = number;
      // Kept answers live for some reads between two writes.
      const { given } = answers;
      const before = asked;
      await until('others asked', () => isOver || answers.given > given + 3 || asked > before + 100, {
        everyMs: 1,
      });
    }
  };
  /** Lets reads and writes go on for a while. */
  const more = async (): Promise<void> => {
    const { given } = answers;
    const sum = acknowledged.reduce((a, b) => a + b);
    await until(
      'kept answers are given, and rows are written',
      () => answers.given > given + 20 && acknowledged.reduce((a, b) => a + b) > sum + ROWS,
    );
  };
  const everybody = Promise.all([
    ...Array.from({ length: ASKERS }, (_, index) => asker(1 + (index % ROWS))),
    ...Array.from({ length: ROWS }, (_, index) => writer(1 + index)),
  ]);
  const trouble = async (): Promise<void> => {
    await more();
    for (let cut = 0; cut < 3; cut += 1) {
      const pid = await until('the watch is connected', () => backend(WATCHING));
      await db.pool.query('select pg_terminate_backend($1)', [pid]);
      await more();
    }
    const pid = await until('reads are connected', () => orAway(() => backend('reads')));
    process.kill(pid, 'SIGKILL');
    await more();
    await server.restart();
    await more();
    isOver = true;
  };
  await Promise.race([Promise.all([trouble(), everybody]), everybody]).finally(() => {
    isOver = true;
  });
  await everybody;
});

test('a write that is in doubt, under way while an answer is made, ends the answer once it is committed', async () => {
  await ask(1);
  const client = await db.pool.connect();
  await client.query('begin');
  await client.query('update site.shot set frames = frames + 1000 where id = 1');
  const before = await ask(1);
  assert.equal(await ask(1), before);
  assert.equal(await ask(1), before);
  await client.query('commit');
  client.release();
  assert.equal(await ask(1), before + 1000);
});

test('what leaves no marks is not kept, nor what was read before marks were forgotten', async () => {
  const unmarked = 'select frames::text from site."shot", site."strange" where id = $1';
  assert.equal(changes.covers(marksOf(unmarked) ?? []), false);
  await ask(2);
  await ask(2);
  const { given } = answers;
  await ask(2);
  assert.equal(answers.given, given + 1);
  // As if this process had slept while another forgot the marks of what it wrote.
  await db.pool.query('update site.shot set frames = 5000000 where id = 2');
  await db.pool.query('delete from understudy.change_mark');
  await db.pool.query(
    `insert into understudy.change_mark (mark) select '<' || pg_snapshot_xmax(pg_current_snapshot())`,
  );
  assert.equal(await ask(2), 5_000_000);
});

test('rows copied in with triggers switched off leave marks as well', async () => {
  const before = await ask(3);
  await ask(3);
  const client = await db.pool.connect();
  await client.query(`set session_replication_role = 'replica'`);
  await client.query('update site.shot set frames = frames + 1000 where id = 3');
  await client.query('reset session_replication_role');
  client.release();
  assert.equal(await ask(3), before + 1000);
});

test('what is given again and again is kept, while others come and are forgotten', async () => {
  const few = createKeptAnswers(changes, 5_000);
  const text = 'select frames::text from site."shot" where id = 4';
  const askFew = async (question: string): Promise<void> => {
    await few.answer(question, async () => ({
      body: Buffer.from((await statements.texts({ name: 'four', text }, []))[0] ?? ''),
      marks: () => marksOf(text),
    }));
  };
  const keep = async (question: string): Promise<void> => {
    await askFew(question);
    await askFew(question);
    assert(few.has(question), `${question} is kept`);
  };
  await keep('often');
  await keep('once');
  for (let number = 1; number <= 30; number += 1) {
    await keep(`other ${number}`);
    await askFew('often');
  }
  assert(few.has('often'));
  assert(!few.has('once'));
  assert(!few.has('other 1'));
});
