import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { readHistory } from '../data-updates.ts';
import { openDatabase } from '../database.ts';
import { entityTable } from '../entity-tables.ts';
import { migrate } from '../migrate.ts';
import { syncEntityTables } from '../sync-entity-tables.ts';
import { mergeFetched } from './fetched.ts';
import { BUNDLED } from './origin.ts';

const SCHEMA = parseCachedSchema('types:\n  Shot: { code: text }');

test('many rows that one fetch tells of are one entry of the log, unless they are few or what is told is long', async (t) => {
  const database = await createTestDatabase();
  const options = { url: database.url, poolSize: 2, applicationName: 'test' };
  const db = await openDatabase(options);
  t.after(async () => {
    await db.close();
    await database.drop();
  });
  await migrate(db);
  await syncEntityTables(db, options, SCHEMA);
  const shot = SCHEMA.types.get('Shot');
  assert(shot);
  const table = entityTable(shot);
  let tick = 0;
  /** Tells of Shots from 1 on. @returns how many entries of each kind the log has for it. */
  const tell = async (codes: readonly string[]): Promise<Readonly<Record<string, number>>> => {
    tick += 1;
    const rows = codes.map((code, at) => ({ row: { type: 'Shot', id: at + 1, code }, active: true }));
    const fetched = {
      tick,
      siteTime: new Date(tick),
      rows,
      origin: { source: 'scan', logged: true },
    } as const;
    await db.transaction((tx) => mergeFetched(tx, table, fetched));
    const { rows: entries } = await db.pool.query<{ field: string; count: number }>(
      'select field, count(*)::int from understudy.data_update where tick = $1 group by 1',
      [tick],
    );
    return Object.fromEntries(entries.map(({ field, count }) => [field, count]));
  };
  const all = (code: string): string[] => Array<string>(BUNDLED).fill(code);
  const few = (code: string): string[] => [...all('b').slice(1), code];

  assert.deepEqual(await tell(['a', 'a']), { _row: 2 });
  assert.deepEqual(await tell([...all('a'), ...all('a')]), { _rows: 1 });
  assert.deepEqual(await tell(all('b')), { _many: 1 });
  assert.deepEqual(await tell(few('c')), { _fields: 1 });
  assert.deepEqual(await tell(few('c')), {});
  const long = 'x'.repeat(200_000);
  assert.deepEqual(await tell(all(long)), { _fields: BUNDLED });
  const history = await readHistory(db.pool, { type: 'Shot', id: BUNDLED }, { limit: 10 });
  assert.deepEqual(
    history.map(({ field, old, new: now }) => [field, old, now]),
    [
      ['_row', null, true],
      ['code', 'a', 'b'],
      ['code', 'b', 'c'],
      ['code', 'c', long],
    ],
  );
  const first = await readHistory(db.pool, { type: 'Shot', id: 1 }, { limit: 10, field: 'code' });
  assert.deepEqual(
    first.map(({ old }) => old),
    ['a', 'b'],
  );
});
