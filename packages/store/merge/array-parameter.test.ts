import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Json } from '@understudy/domain/entity';
import { createTestDatabase } from '@understudy/harness/postgres';
import pg from 'pg';
import { arrayParameter } from './array-parameter.ts';

let client: pg.Client;
let dropDatabase: () => Promise<void>;
before(async () => {
  const database = await createTestDatabase();
  dropDatabase = database.drop;
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`set time zone 'Asia/Kolkata'`);
});
after(async () => {
  await client?.end();
  await dropDatabase?.();
});

async function roundTrip(values: readonly Json[], sqlType: string): Promise<readonly Json[]> {
  const { rows } = await client.query<{ json: Json }>(
    `select to_jsonb(v) as json from unnest($1::${sqlType}[]) with ordinality as r(v, n) order by n`,
    [arrayParameter(values, sqlType)],
  );
  return rows.map(({ json }) => json);
}

const SAME: Readonly<Record<string, readonly Json[]>> = {
  bigint: [0, 1, -1, null, 4_294_967_296, -4_294_967_297, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  text: ['', null, 'plain', 'a"b\\c{d},NULL', 'NULL', 'ünï 🎬 日本', `${'é'.repeat(500)}\n`],
  boolean: [true, null, false],
  'double precision': [0.1, null, -2.5, 1e300],
  numeric: [12.34, null, 0],
  jsonb: [{ a: [1, 'x', null] }, 'text', null, 7, false, 'quo"te\\'],
  json: [null],
  date: ['2026-02-28', null, '1969-12-31', '2028-02-29', '0001-01-01', '9999-12-31'],
  tid: ['(0,1)', null, '(4294967294,65535)'],
  uuid: ['6f0bbb43-1c1c-4b57-9b0f-0d5a1a1f0a01', null],
};

for (const [sqlType, values] of Object.entries(SAME))
  test(`values of ${sqlType} arrive as they were`, async () => {
    assert.deepEqual(await roundTrip(values, sqlType), values);
    assert.deepEqual(await roundTrip([], sqlType), []);
  });

test('times arrive as the very moments, in any time zone', async () => {
  const times = [
    '2026-11-05T12:00:00Z',
    '1969-12-31T23:59:59Z',
    '2028-02-29T00:00:00Z',
    '0001-01-01T00:00:00Z',
  ];
  const { rows } = await client.query<{ text: string }>(
    `select to_char(v at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as text
     from unnest($1::timestamptz[]) with ordinality as r(v, n) order by n`,
    [arrayParameter(times, 'timestamptz')],
  );
  assert.deepEqual(
    rows.map(({ text }) => text),
    times,
  );
});

test('JSON text is kept letter for letter', async () => {
  const { rows } = await client.query<{ text: string }>(
    'select v::text as text from unnest($1::json[]) as r(v)',
    [arrayParameter(['{"b": 1,"a":[ ]}'], 'json')],
  );
  assert.deepEqual(rows, [{ text: '{"b": 1,"a":[ ]}' }]);
});

test('what is no value of the type is refused by PostgreSQL, as if it had been sent as text', async () => {
  await assert.rejects(roundTrip(['2026-02-30'], 'date'), { code: '22008' });
  await assert.rejects(roundTrip(['2026-04-31T00:00:00Z'], 'timestamptz'), { code: '22008' });
  await assert.rejects(roundTrip(['0000-01-01T00:00:00Z'], 'timestamptz'), { code: '22008' });
  await assert.rejects(roundTrip([1.5], 'bigint'), { code: '22P02' });
  await assert.rejects(roundTrip(['no\u0000text'], 'text'), { code: '22021' });
  await assert.rejects(roundTrip([{ a: 'no\u0000text' }], 'jsonb'), { code: '22P05' });
});
