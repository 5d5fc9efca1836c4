import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { refreshDue } from '@understudy/applier/refresh';
import { poll } from '@understudy/event-poller/poll';
import { openQueueBackend } from '@understudy/pipeline/queue-backend';
import { acquireLease } from '@understudy/store/lease';
import { dueRefreshes, requestRefresh } from '@understudy/store/refresh-requests';
import { initWatermark, openGaps, readWatermark, replaceGaps } from '@understudy/store/watermark';
import { type Api, call, startApi } from './api-rig.ts';

describe('following the event log', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api?.stop());

  test('an entity that cannot be merged is put off alone', async () => {
    const { pool } = api.replica.db;
    const { rows } = await pool.query<{ id: string }>(
      'select id from site.task where _active order by id limit 9',
    );
    const ids = rows.map((row) => Number(row.id));
    const bad = ids[4] ?? 0;
    const { data } = api.sandbox;
    const task = data.find({ type: 'Task', id: bad });
    assert.ok(task !== undefined);
    data.set(task as never, 'est_in_mins', 'no number');
    await requestRefresh(
      pool,
      ids.map((id) => ({ type: 'Task', id, reason: 'test' })),
    );
    await refreshDue(api.replica, 'Task', 200);
    const { rows: left } = await pool.query(
      'select entity_id::int as id, attempts, error from understudy.refresh_request',
    );
    assert.equal(left.length, 1);
    assert.equal(left[0].id, bad);
    assert.equal(left[0].attempts, 1);
    assert.match(left[0].error, /expected/);
    assert.deepEqual(await dueRefreshes(pool, 'Task', 10), [], 'it is not due again at once');
    data.set(task as never, 'est_in_mins', null);
  });

  test('every missing id is asked for, also in a gap wider than a page', async () => {
    const { pool } = api.replica.db;
    const queues = openQueueBackend(api.databaseUrl);
    try {
      const made = await call(
        api.siteUrl,
        'batch',
        Array.from({ length: 700 }, (_, index) => ({
          request_type: 'update',
          type: 'Project',
          id: 1,
          fields: [{ field_name: 'sg_description', value: `number ${index}` }],
        })),
      );
      assert.equal(made.json.exception, undefined, made.json.message);
      const { results } = await api.replica.site.read(
        {
          type: 'EventLogEntry',
          fields: ['id'],
          sorts: [{ field_name: 'id', direction: 'desc' }],
          pageSize: 1,
        },
        { priority: 'poll' },
      );
      const head = results[0]?.id ?? 0;
      assert.ok(head >= 700);
      await initWatermark(pool, head);
      const seenAt = Date.now();
      await replaceGaps(pool, [
        { first: head - 690, last: head - 689, seenAt },
        { first: head - 680, last: head - 21, seenAt },
        { first: head - 10, last: head - 10, seenAt },
      ]);
      const epoch = await acquireLease(pool, 'test', 'me', 60_000);
      assert.ok(epoch !== null);
      const options = {
        batchSize: 100,
        gapTimeoutMs: 60_000,
        lease: { name: 'test', holder: 'me', epoch },
        onSchemaEvents: async () => {},
      };
      for (let polls = 0; polls < 5; polls += 1)
        await poll(api.replica, queues.queue('events'), head, options);
      assert.deepEqual(await openGaps(pool), []);
      const { rows } = await pool.query(
        'select count(*)::int as n, bool_and(late) as late from understudy.event_log',
      );
      assert.deepEqual(rows[0], { n: 2 + 660 + 1, late: true });
      const watermark = await readWatermark(pool);
      assert.equal(watermark?.appliedThrough, head - 691, 'what came late waits to be applied');
    } finally {
      await queues.close();
    }
  });
});
