import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EntityDifference } from '@understudy/pipeline/verify/entity-state';
import { verifyType } from '@understudy/pipeline/verify/verify-type';
import { type Api, call, startApi } from './api-rig.ts';

/** `understudy verify` tells what differs from the site, and nothing else. */
describe('verify', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api?.stop());

  const verify = async (
    type: string,
  ): Promise<{ differences: readonly EntityDifference[]; compared: number }> => {
    const differences: EntityDifference[] = [];
    const { active, retired } = await verifyType(api.replica, type, {
      priority: 'audit',
      settleMs: 300,
      signal: new AbortController().signal,
      onCompared: () => {},
      onDifference: (difference) => differences.push(difference),
    });
    return { differences, compared: active + retired };
  };
  const sql = (text: string): Promise<{ rows: Record<string, string>[] }> => api.replica.db.pool.query(text);

  test('a scanned replica has no difference in any type', async () => {
    for (const type of api.replica.schema.types.keys()) {
      const { differences } = await verify(type);
      assert.deepEqual(differences, [], type);
    }
  });

  test('a value, a missing row, a row too many, a retired one and a wrong name are found, and repaired', async () => {
    const ids = (await sql('select id from site.shot where _active order by id limit 4')).rows.map((row) =>
      Number(row['id']),
    );
    const [changed, missing, retired] = ids;
    await sql(`update site.shot set description = 'not what the site says' where id = ${changed}`);
    await sql(`delete from site.shot where id = ${missing}`);
    await sql(`update site.shot set _active = false where id = ${retired}`);
    await sql(`insert into site.shot (id, _active, _fetched_tick) values (999999, true, 1)`);
    await sql(
      `update understudy.link_target set name = 'wrong' where entity_type = 'Project' and entity_id = 1`,
    );
    const { differences } = await verify('Shot');
    const of = (id: number | undefined): EntityDifference | undefined =>
      differences.find((difference) => difference.id === id);
    assert.equal(of(changed)?.fields['description']?.replica, 'not what the site says');
    assert.equal(of(missing)?.kind, 'missing');
    assert.equal(of(retired)?.kind, 'state');
    assert.equal(of(retired)?.activeOnSite, true);
    assert.equal(of(999999)?.kind, 'extra');
    const wrongName = differences.find(({ fields }) => fields['project'] !== undefined);
    assert.deepEqual(wrongName?.fields['project']?.replica, { type: 'Project', id: 1, name: 'wrong' });
    const { code, stdout, stderr } = await api.understudy(
      'verify',
      '--types',
      'Shot',
      '--repair',
      '--settle',
      '0',
    );
    assert.equal(code, 1, stderr);
    assert.match(stdout, new RegExp(`Shot ${missing}: only on the site`));
    assert.match(stdout, /Shot 999999: only in the replica/);
    assert.match(stdout, /will be fetched again/);
    const { rows } = await sql(
      `select entity_id from understudy.refresh_request where reason = 'found different'`,
    );
    assert.equal(rows.length, differences.length);
  });

  test('a change of which no event told since the last scan is counted as one that the next scan finds', async () => {
    const { rows } = await sql('select id from site.task where _active order by id desc limit 1');
    const id = Number(rows[0]?.['id']);
    const fields = [{ field_name: 'content', value: 'changed while nobody followed' }];
    assert.equal((await call(api.siteUrl, 'update', { type: 'Task', id, fields })).status, 200);
    const args = ['verify', '--types', 'Task', '--ids', String(id), '--settle', '0'];
    const { code, stdout, stderr } = await api.understudy(...args);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /^1 of them changed after the last interval scan began/m);
  });
});
