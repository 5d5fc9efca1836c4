import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import pg from 'pg';
import { ReadFrequencies, readColumnFrequencies } from './column-frequencies.ts';

test('of columns with which an index begins it is known in how many rows a value is, once they were analyzed', async (t) => {
  const database = await createTestDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  t.after(async () => {
    await pool.end();
    await database.drop();
  });
  await pool.query(`create schema site; create table site."task" (id bigint primary key, "entity__id" bigint, "other__id" bigint);
    create index on site."task" ("entity__id", id)`);
  assert.equal((await readColumnFrequencies(pool)).rowsPerValue('site."task"', '"entity__id"'), null);
  await pool.query(`insert into site."task" select n, case when n % 2 = 0 then n % 100 end, n % 10 from generate_series(1, 5000) n;
    analyze site."task"`);
  const frequencies = await readColumnFrequencies(pool);
  assert.equal(frequencies.rowsPerValue('site."task"', 'id'), 1);
  // Every second row has one of fifty.
  assert.equal(frequencies.rowsPerValue('site."task"', '"entity__id"'), 50);
  assert.equal(frequencies.rowsPerValue('site."task"', '"other__id"'), null);
  assert.equal(frequencies.rowsPerValue('site."shot"', 'id'), null);
});

test('frequencies are like others until one is twice as much, or half, or of another column', () => {
  const of = (rows: Readonly<Record<string, number>>): ReadFrequencies =>
    new ReadFrequencies(new Map(Object.entries(rows)));
  const before = of({ a: 10, b: 3 });
  assert.equal(before.isLike(of({ a: 19, b: 2 })), true);
  for (const other of [{ a: 21, b: 3 }, { a: 4, b: 3 }, { a: 10 }, { a: 10, c: 3 }, { a: 10, b: 3, c: 1 }])
    assert.equal(before.isLike(of(other as Record<string, number>)), false, JSON.stringify(other));
});
