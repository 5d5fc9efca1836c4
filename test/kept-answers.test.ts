import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startReader } from '@understudy/api-reader/reader';
import { until } from '@understudy/harness/until';
import { refreshEntities } from '@understudy/pipeline/refresh-entities';
import { loadConfig } from '@understudy/runtime/config/load';
import { pino } from 'pino';
import { type Api, call, entitiesOf, readOf, SCRIPT, send, startApi } from './api-rig.ts';

/** How many writes of each kind are made while the reads go on. */
const WRITES = 25;
const ASKERS = 4;

let api: Api;
/** Another reader over the same replica: its writes reach the first one through PostgreSQL alone. */
let otherUrl: string;
let stopOther: () => Promise<void>;

before(async () => {
  api = await startApi();
  const config = loadConfig({
    needs: ['site', 'database'],
    env: {
      UNDERSTUDY_SITE_URL: api.siteUrl,
      UNDERSTUDY_SITE_SCRIPT_NAME: 'understudy',
      UNDERSTUDY_SITE_SCRIPT_KEY: 'sandbox-key',
      DATABASE_URL: api.databaseUrl,
      UNDERSTUDY_READER_PORT: '0',
    },
  });
  const other = await startReader(config, pino({ level: 'silent' }), () => {});
  const stopping = new AbortController();
  const running = other.run(stopping.signal);
  otherUrl = other.url;
  stopOther = async () => {
    stopping.abort();
    await running;
  };
  await until('the other reader is ready', async () => (await send(`${otherUrl}/readyz`)).status === 200);
});
after(async () => {
  await stopOther();
  await api.stop();
});

const kept = async (): Promise<number> => {
  const { text } = await send(`${api.readerUrl}/metrics`);
  return Number(/^understudy_reader_kept_answers_given (\d+)$/m.exec(text)?.[1]);
};

/** A value that only grows, written by one and read by many: the answer may never be older than what was acknowledged. */
interface Watched {
  acknowledged: number;
  /** The number in an answer of the reader. */
  read(): Promise<number>;
  write(number: number): Promise<void>;
}

const numberIn = (text: unknown): number => Number(/(\d+)$/.exec(String(text))?.[1] ?? 0);

async function update(url: string, type: string, id: number, field: string, value: string): Promise<void> {
  const reply = await call(url, 'update', { type, id, fields: [{ field_name: field, value }] });
  assert.equal(reply.json.exception, undefined, reply.text);
}

async function replicaRead(payload: object): Promise<readonly Record<string, unknown>[]> {
  const reply = await call(api.readerUrl, 'read', payload, SCRIPT);
  assert.equal(reply.headers['x-understudy'], 'replica', reply.text);
  return entitiesOf(reply) as unknown as readonly Record<string, unknown>[];
}

test('the same reads asked without pause are never older than a write acknowledged before they began', async () => {
  const [task] = await replicaRead(
    readOf('Task', ['entity', 'content'], [['entity', 'type_is', 'Shot']], {
      paging: { entities_per_page: 1, current_page: 1 },
    }),
  );
  const shot = (task as { entity: { id: number } }).entity.id;
  const taskId = (task as { id: number }).id;
  const first = async (payload: object, field: string): Promise<number> =>
    numberIn((await replicaRead(payload))[0]?.[field]);
  const watched: Watched[] = [
    {
      // Through the other reader, read by id.
      acknowledged: 0,
      read: () => first(readOf('Shot', ['description'], [['id', 'is', shot]]), 'description'),
      write: (number) => update(otherUrl, 'Shot', shot, 'description', `told ${number}`),
    },
    {
      // On the site, then merged: by nobody who knows the reader.
      acknowledged: 0,
      read: () => first(readOf('Task', ['sg_description'], [['id', 'is', taskId]]), 'sg_description'),
      write: async (number) => {
        await update(api.siteUrl, 'Task', taskId, 'sg_description', `told ${number}`);
        await refreshEntities(api.replica, 'Task', [taskId], 'refresh');
      },
    },
    {
      // The name of something linked, and a field of it.
      acknowledged: 0,
      read: async () => {
        const [row] = await replicaRead(
          readOf('Task', ['entity', 'entity.Shot.code'], [['id', 'is', taskId]]),
        );
        const { entity } = row as { entity: { name: string } };
        return Math.min(numberIn(entity.name), numberIn(row?.['entity.Shot.code']));
      },
      write: (number) => update(otherUrl, 'Shot', shot, 'code', `sh_${number}`),
    },
    {
      // A filter that another value of the row decides.
      acknowledged: 0,
      read: async () => {
        const rows = await replicaRead(
          readOf('Shot', ['sg_cut_in'], [['sg_cut_in', 'greater_than', 5_000_000]], {
            return_paging_info: true,
          }),
        );
        return Math.max(0, ...rows.map((row) => Number(row['sg_cut_in']) - 5_000_000));
      },
      write: async (number) => {
        const reply = await call(otherUrl, 'update', {
          type: 'Shot',
          id: shot,
          fields: [{ field_name: 'sg_cut_in', value: 5_000_000 + number }],
        });
        assert.equal(reply.json.exception, undefined, reply.text);
      },
    },
  ];
  await api.replica.db.pool.query('create table public.noise (n int)');
  let isOver = false;
  let asked = 0;
  const ask = async (one: Watched): Promise<void> => {
    while (!isOver) {
      const { acknowledged } = one;
      const seen = await one.read();
      asked += 1;
      assert.ok(seen >= acknowledged, `answered ${seen} after ${acknowledged} had been acknowledged`);
    }
  };
  const write = async (one: Watched): Promise<void> => {
    for (let number = 1; number <= WRITES; number += 1) {
      await one.write(number);
      one.acknowledged = number;
      // The readers' own connections for it are cut as well: nothing may be given until they look again.
      if (number % 5 === 0)
        await api.replica.db.pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name = 'api-reader changes'`,
        );
      // Transactions of others, as a queue in the same database has: no reason to forget anything.
      await api.replica.db.pool.query('insert into public.noise values (1)');
    }
  };
  const asking = Promise.all(watched.flatMap((one) => Array.from({ length: ASKERS }, () => ask(one))));
  // The first failure ends the test at once.
  await Promise.race([Promise.all(watched.map(write)), asking]);
  const last = await Promise.all(watched.map((one) => one.read()));
  isOver = true;
  await asking;
  assert.deepEqual(last, [WRITES, WRITES, WRITES, WRITES]);
  assert.ok(asked > WRITES, 'reads went on all the time');
});

test('what nobody changes is given from memory, whatever else is written', async () => {
  const payload = readOf('Step', ['code'], []);
  await replicaRead(payload);
  await replicaRead(payload);
  const before = await kept();
  for (let number = 0; number < 20; number += 1) {
    await api.replica.db.pool.query('insert into public.noise values (2)');
    await replicaRead(payload);
  }
  assert.equal((await kept()) - before, 20);
});

test('who asks in the very same bytes again is known, logged and counted as anybody', async () => {
  const payload = readOf('Step', ['code', 'short_name'], []);
  const counted = async (): Promise<number> => {
    const { text } = await send(`${api.readerUrl}/metrics`);
    return Number(
      /^understudy_reader_calls_total\{method="read",source="replica",reason="none"\} (\d+)$/m.exec(
        text,
      )?.[1],
    );
  };
  interface Line {
    readonly msg: string;
    readonly requestId: string;
  }
  const lineOf = async (): Promise<object> => {
    const reply = await call(api.readerUrl, 'read', payload, { ...SCRIPT, session_uuid: 'same' });
    assert.equal(reply.headers['x-understudy'], 'replica');
    assert.match(String(reply.headers['x-understudy-watermark']), /^\d+$/);
    assert.match(String(reply.headers['x-understudy-lag-ms']), /^\d+$/);
    assert.match(String(reply.headers['content-type']), /^application\/json/);
    assert.equal(Number(reply.headers['content-length']), Buffer.byteLength(reply.text));
    const id = reply.headers['x-request-id'];
    const lines = api.logged.map((line) => JSON.parse(line) as Line);
    const own = lines.filter((line) => line.msg === 'call' && line.requestId === id);
    assert.equal(own.length, 1);
    return { ...own[0], requestId: '', time: 0, ms: 0 };
  };
  const first = await lineOf();
  const before = await counted();
  const reads = 8;
  for (let number = 0; number < reads; number += 1) assert.deepEqual(await lineOf(), first);
  assert.equal((await counted()) - before, reads);
  const wrong = await call(api.readerUrl, 'read', payload, {
    ...SCRIPT,
    script_key: 'wrong',
    session_uuid: 'same',
  });
  assert.equal(wrong.json.error_code, 102);
});

test('a retirement takes a row out of kept lists, and what depends on the time is never kept', async () => {
  const list = readOf('Version', ['code'], []);
  await replicaRead(list);
  const rows = await replicaRead(list);
  const [version] = rows as readonly { id: number }[];
  await replicaRead(list);
  await call(otherUrl, 'delete', { type: 'Version', id: version?.id });
  assert.equal((await replicaRead(list)).length, rows.length - 1);
  const lately = readOf('Version', ['code'], [['updated_at', 'in_last', 1, 'DAY']]);
  await replicaRead(lately);
  const before = await kept();
  await replicaRead(lately);
  await replicaRead(lately);
  assert.equal(await kept(), before);
});

test('the marks of changes are made by whoever writes', async () => {
  const list = readOf('Status', ['code'], []);
  await replicaRead(list);
  const [row] = await replicaRead(list);
  await replicaRead(list);
  await api.replica.db.pool.query(`update site.status set code = 'by_hand' where id = $1`, [row?.['id']]);
  assert.equal((await replicaRead(list))[0]?.['code'], 'by_hand');
});
