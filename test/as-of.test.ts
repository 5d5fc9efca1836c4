import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AsOfRefused, readAsOf } from '@understudy/pipeline/as-of/read-as-of';
import { originOf } from '@understudy/pipeline/replica';
import { readHistory } from '@understudy/store/data-updates';
import { entityTable } from '@understudy/store/entity-tables';
import { removeVanished } from '@understudy/store/merge/vanished';
import { nextTick } from '@understudy/store/tick';
import { type Api, call, readOf, startApi } from './api-rig.ts';
import { followLog } from './follow-log.ts';

/** A read is answered as it was, whatever changed since. */
describe('as of', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api?.stop());

  const FIELDS = [
    'code',
    'description',
    'sg_sequence',
    'tags',
    'assets',
    'sg_sequence.Sequence.code',
    'updated_at',
    'updated_by',
  ];
  const READS = [
    readOf('Shot', FIELDS, [], { sorts: [{ field_name: 'id', direction: 'asc' }] }),
    readOf('Shot', FIELDS, [], { return_only: 'retired', sorts: [{ field_name: 'id', direction: 'asc' }] }),
    readOf('Shot', ['code'], [['description', 'is', 'written meanwhile']]),
    readOf('Sequence', ['code', 'shots'], [], { sorts: [{ field_name: 'id', direction: 'asc' }] }),
  ];
  const now = (): Promise<readonly string[]> =>
    Promise.all(READS.map((read) => readAsOf(api.replica, read, null)));
  /** The clock of whoever writes the log. */
  const moment = async (): Promise<Date> => {
    const { rows } = await api.replica.db.pool.query<{ at: Date }>(
      `select clock_timestamp() as at from pg_sleep(0.01)`,
    );
    const [row] = rows;
    assert(row);
    return row.at;
  };
  const write = async (method: string, payload: object): Promise<void> => {
    const reply = await call(api.readerUrl, method, payload);
    assert.equal(reply.json.exception ?? false, false, reply.text);
  };

  test('values, links, retirement, revival, new and vanished entities are undone', async () => {
    const { pool } = api.replica.db;
    const { rows } = await pool.query<{ id: string }>(
      'select id from site.shot where _active order by id limit 6',
    );
    const [a, b, c, d, e, f] = rows.map((row) => Number(row.id));
    const snapshots: { readonly at: Date; readonly answers: readonly string[] }[] = [];
    const snapshot = async (): Promise<void> => {
      snapshots.push({ answers: await now(), at: await moment() });
    };
    const set = (id: number | undefined, field: string, value: unknown): Promise<void> =>
      write('update', { type: 'Shot', id, fields: [{ field_name: field, value }] });
    await snapshot();
    await set(a, 'description', 'written meanwhile');
    await set(b, 'sg_sequence', null);
    await snapshot();
    await set(a, 'description', null);
    await set(c, 'assets', []);
    await write('delete', { type: 'Shot', id: d });
    await snapshot();
    await write('create', {
      type: 'Shot',
      fields: [
        { field_name: 'project', value: { type: 'Project', id: 1 } },
        { field_name: 'code', value: 'made meanwhile' },
      ],
    });
    await write('revive', { type: 'Shot', id: d });
    await set(e, 'sg_sequence', { type: 'Sequence', id: 1 });
    await set(b, 'sg_sequence', { type: 'Sequence', id: 2 });
    await snapshot();
    await set(b, 'sg_sequence', { type: 'Sequence', id: 3 });
    await set(b, 'sg_sequence', { type: 'Sequence', id: 1 });
    await snapshot();
    const shots = api.replica.schema.types.get('Shot');
    assert(shots && f);
    const tick = await nextTick(pool);
    const origin = originOf(api.replica, 'scan');
    await api.replica.db.transaction((tx) => removeVanished(tx, entityTable(shots), [f], tick, origin));
    await snapshot();
    assert.equal(new Set(snapshots.map(({ answers }) => answers.join())).size, snapshots.length);
    for (const { at, answers } of snapshots) {
      for (const [index, read] of READS.entries())
        assert.deepEqual(
          JSON.parse(await readAsOf(api.replica, read, { time: at })),
          JSON.parse(answers[index] ?? ''),
          `read ${index} at ${at.toISOString()}`,
        );
    }
  });

  test('as it was after an event of the site’s log, whatever was applied since', async () => {
    const { pool } = api.replica.db;
    const { rows } = await pool.query<{ id: string }>(
      'select id from site.shot where _active order by id limit 1',
    );
    const id = Number(rows[0]?.id);
    const fields = ['description', 'assets', 'sg_sequence', 'updated_at', 'updated_by'];
    const read = readOf('Shot', fields, [['id', 'is', id]]);
    const told: { readonly event: number; readonly answer: unknown }[] = [];
    for (let n = 1; n <= 3; n += 1) {
      // Fetched long ago, so that the events are in no doubt.
      await pool.query(`update site.shot set _site_time = now() - interval '1 hour' where id = $1`, [id]);
      const changes = [
        { field_name: 'description', value: `event ${n}` },
        { field_name: 'sg_sequence', value: { type: 'Sequence', id: n } },
        { field_name: 'assets', value: [{ type: 'Asset', id: n }] },
      ];
      const reply = await call(api.siteUrl, 'update', { type: 'Shot', id, fields: changes });
      assert.equal(reply.json.exception ?? false, false, reply.text);
      await followLog(api.replica);
      const newest = await pool.query<{ id: string }>('select max(id) as id from understudy.event_log');
      const theirs = await call(api.siteUrl, 'read', read);
      const { results } = theirs.json as { readonly results?: { readonly entities?: unknown } };
      told.push({ event: Number(newest.rows[0]?.id), answer: results?.entities });
    }
    assert.equal(new Set(told.map(({ answer }) => JSON.stringify(answer))).size, 3);
    const answers = async (): Promise<void> => {
      for (const { event, answer } of told)
        assert.deepEqual(JSON.parse(await readAsOf(api.replica, read, { event })), answer, `event ${event}`);
    };
    await answers();
    const history = (): Promise<readonly object[]> =>
      readHistory(pool, { type: 'Shot', id }, { limit: 100 }).then((updates) =>
        updates.map(({ seq: _, ...update }) => update),
      );
    const before = await history();
    // As releases wrote the log that made an entry of each change.
    await pool.query(
      `create table folded as table understudy.data_update_field;
       delete from understudy.data_update;
       insert into understudy.data_update (at, tick, entity_type, entity_id, field, old, new, source, event_id, user_type, user_id)
         select at, tick, entity_type, entity_id, field, old, new, source, event_id, user_type, user_id
         from folded order by seq, part;
       drop table folded`,
    );
    assert.deepEqual(await history(), before);
    await answers();
  });

  test('a field that came later, or had another data type before, holds up only reads of itself', async () => {
    const { pool } = api.replica.db;
    const { rows } = await pool.query<{ id: string }>('select min(id) as id from site.shot where _active');
    const id = Number(rows[0]?.id);
    const reading = (fields: readonly string[]): ReturnType<typeof readOf> =>
      readOf('Shot', [...fields], [['id', 'is', id]]);
    const before = await readAsOf(api.replica, reading(['description', 'assets']), null);
    const at = await moment();
    const fields = [{ field_name: 'description', value: 'later' }];
    await write('update', { type: 'Shot', id, fields });
    await pool.query(
      `insert into understudy.data_update (tick, entity_type, entity_id, field, old, new, source)
       values (1, 'Shot', $1, 'sg_cut_in', '"a text"', null, 'event')`,
      [id],
    );
    await pool.query(`update understudy.followed_field set served_at = clock_timestamp()
      where entity_type = 'Shot' and field = 'sg_cut_in'`);
    assert.equal(await readAsOf(api.replica, reading(['description', 'assets']), { time: at }), before);
    await assert.rejects(readAsOf(api.replica, reading(['sg_cut_in']), { time: at }), AsOfRefused);
    const filtered = readOf('Shot', ['code'], [['sg_cut_in', 'is', 1]]);
    await assert.rejects(readAsOf(api.replica, filtered, { time: at }), AsOfRefused);
  });

  test('what the log does not reach is refused', async () => {
    const [read] = READS;
    await assert.rejects(readAsOf(api.replica, read, { time: new Date(0) }), AsOfRefused);
    await assert.rejects(readAsOf(api.replica, read, { event: 999_999_999 }), AsOfRefused);
    await assert.rejects(readAsOf(api.replica, readOf('Nothing', ['code']), null), AsOfRefused);
  });
});
