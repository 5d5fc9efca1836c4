import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { auditSample } from '@understudy/pipeline/audit/audit-sample';
import { readDrift } from '@understudy/store/audits';
import { readHistory } from '@understudy/store/data-updates';
import { type Api, call, readOf, startApi } from './api-rig.ts';

/** What differs from the site unheard is found by samples and by shadows of clients' reads, and repaired. */
describe('drift', () => {
  let api: Api;
  before(async () => {
    api = await startApi({ env: { UNDERSTUDY_AUDIT_SHADOW_SHARE: '1' } });
  });
  after(() => api?.stop());

  const sql = async (text: string): Promise<readonly Record<string, unknown>[]> =>
    (await api.replica.db.pool.query(text)).rows;
  const firstIds = async (): Promise<readonly number[]> =>
    (await sql('select id from site.shot where _active order by id limit 3')).map((row) => Number(row['id']));
  const descriptionOf = async (id: number | undefined): Promise<unknown> =>
    (await sql(`select description from site.shot where id = ${id}`))[0]?.['description'];
  const { signal } = new AbortController();

  test('a sample finds what differs and what is missing, and has it fetched again', async () => {
    const [changed, missing] = await firstIds();
    await sql(`update site.shot set description = 'nobody wrote this' where id = ${changed}`);
    await sql(`delete from site.shot where id = ${missing}`);
    const found = new Set<number>();
    await until('samples have found both', async () => {
      const audited = await auditSample(api.replica, { types: ['Shot'], size: 500, signal });
      for (const { id } of audited?.differences ?? []) found.add(id);
      // A sample that begins behind both of them finds neither.
      return found.size === 2;
    });
    assert.deepEqual([...found].sort(), [changed, missing].sort());
    assert.notEqual(await descriptionOf(changed), 'nobody wrote this');
    const history = await readHistory(api.replica.db.pool, { type: 'Shot', id: changed ?? 0 }, { limit: 1 });
    assert.deepEqual(history[0]?.source, 'audit');
    const drift = await readDrift(api.replica.db.pool);
    assert.equal(drift.different, 2);
    assert(drift.share !== null && drift.share > 0 && drift.share < 1);
  });

  test('a shadow of a read finds what the client was told wrongly', async () => {
    const [, , wrong] = await firstIds();
    await sql(`update site.shot set description = 'nor this' where id = ${wrong}`);
    const read = readOf('Shot', ['code', 'description'], [['id', 'is', wrong]]);
    const reply = await call(api.readerUrl, 'read', read);
    assert.match(reply.text, /nor this/, 'the client is not kept waiting for the site');
    await until('it is repaired', async () => (await descriptionOf(wrong)) !== 'nor this', {
      timeoutMs: 20_000,
    });
    const rows = await sql(
      `select source, compared, different from understudy.audit where source = 'shadow'`,
    );
    assert.deepEqual(rows.at(-1), { source: 'shadow', compared: 1, different: 1 });
  });
});
