import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createTestDatabase } from '@understudy/harness/postgres';
import { DataLineError } from '@understudy/pipeline/data-file/data-line';
import { dumpEntities } from '@understudy/pipeline/data-file/dump';
import { loadEntities } from '@understudy/pipeline/data-file/load';
import { prepareReplica, type Replica } from '@understudy/pipeline/replica';
import { openDatabase } from '@understudy/store/database';
import { type Api, startApi } from './api-rig.ts';
import { differences } from './differences.ts';

const ROOT_SCHEMA = 'schema/default.yaml';

/** What dump-data writes is what load-data takes, through the merge. */
describe('data files', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api?.stop());

  const dumped = async (options: Parameters<typeof dumpEntities>[1]): Promise<readonly string[]> => {
    const lines: string[] = [];
    for await (const { text } of dumpEntities(api.replica, options))
      lines.push(...text.trimEnd().split('\n'));
    return lines;
  };

  /** An empty replica of the same site. */
  const withEmpty = async (work: (replica: Replica) => Promise<void>): Promise<void> => {
    const database = await createTestDatabase();
    const databaseOptions = { url: database.url, poolSize: 3, applicationName: 'test' };
    const db = await openDatabase(databaseOptions);
    try {
      const { site } = api.replica;
      await work(
        await prepareReplica({ db, databaseOptions, site, siteUrl: api.siteUrl, schemaFile: ROOT_SCHEMA }),
      );
    } finally {
      await db.close();
      await database.drop();
    }
  };
  const load = (replica: Replica, lines: readonly string[]): Promise<number> =>
    loadEntities(replica, lines, { mode: 'fill', onLoaded: () => {} });

  test('everything dumped and loaded into an empty replica is as on the site', async () => {
    const types = [...api.replica.schema.types.keys()];
    const lines = await dumped({ types });
    await withEmpty(async (replica) => {
      await load(replica, lines);
      assert.deepEqual(await differences(replica, types, 0), []);
      const { rows } = await replica.db.pool.query('select count(*)::int as n from understudy.data_update');
      await load(replica, lines);
      const again = await replica.db.pool.query('select count(*)::int as n from understudy.data_update');
      assert.deepEqual(again.rows, rows, 'loading again changes nothing');
    });
  });

  test('some fields of a project fill what is there, and never replace what was heard later', async () => {
    const lines = await dumped({ types: ['Shot'], projects: [1], fields: ['code', 'tags'] });
    assert(lines.length > 0);
    const [first = ''] = lines;
    assert.deepEqual(Object.keys(JSON.parse(first)).sort(), ['_active', 'code', 'id', 'tags', 'type']);
    const { id } = JSON.parse(first) as { id: number };
    await withEmpty(async (replica) => {
      await load(replica, lines);
      const codes = await replica.db.pool.query('select code from site.shot where id = $1', [id]);
      assert.deepEqual(codes.rows, [{ code: JSON.parse(first).code }]);
    });
    await load(api.replica, [JSON.stringify({ type: 'Shot', id, code: 'an old name' })]);
    assert.deepEqual(await differences(api.replica, ['Shot'], 0), []);
  });

  test('a line that is no entity is refused with its number', async () => {
    await assert.rejects(load(api.replica, ['', '{"type":"Shot"}']), (error: unknown) => {
      assert(error instanceof DataLineError);
      assert.match(error.message, /^line 2: no entity/);
      return true;
    });
    await assert.rejects(load(api.replica, ['{"type":"Nothing","id":1}']), /line 1: Nothing is not cached/);
  });
});
