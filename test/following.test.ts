import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';
import { refreshDue } from '@understudy/applier/refresh';
import type { EntityRef } from '@understudy/domain/entity';
import { poll } from '@understudy/event-poller/poll';
import { sweep } from '@understudy/event-poller/sweep';
import { planTimeScan } from '@understudy/pipeline/plan-scan';
import { openQueueBackend } from '@understudy/pipeline/queue-backend';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { storeEvents } from '@understudy/store/event-log';
import { acquireLease } from '@understudy/store/lease';
import { dueRefreshes, requestRefresh } from '@understudy/store/refresh-requests';
import { claimChunk, openChunks } from '@understudy/store/scans';
import { initWatermark, openGaps, readWatermark, replaceGaps } from '@understudy/store/watermark';
import { type Api, call, entitiesOf, readOf, startApi } from './api-rig.ts';

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

  test('a link that no event told of is seen on its other side too, once a scan of that time has passed', async () => {
    const { pool } = api.replica.db;
    const idOf = async (type: string): Promise<number> => {
      const { rows } = await pool.query<{ id: string }>(
        `select id from site.${type} where _active order by id limit 1`,
      );
      return Number(rows[0]?.id);
    };
    const [shot, version] = [await idOf('shot'), await idOf('version')];
    const since = new Date();
    api.sandbox.faults = { ...api.sandbox.faults, silentRate: 1 };
    const write = async (method: string, payload: object): Promise<number> => {
      const reply = await call(api.siteUrl, method, payload);
      assert.equal(reply.status, 200, reply.text);
      return (reply.json.results as { id?: number }).id ?? 0;
    };
    const project = { type: 'Project', id: 1 };
    const task = await write('create', {
      type: 'Task',
      fields: [
        { field_name: 'content', value: 'made in silence' },
        { field_name: 'project', value: project },
        { field_name: 'entity', value: { type: 'Shot', id: shot } },
      ],
    });
    const playlist = await write('create', {
      type: 'Playlist',
      fields: [
        { field_name: 'code', value: 'made in silence' },
        { field_name: 'project', value: project },
        { field_name: 'versions', value: [{ type: 'Version', id: version }] },
      ],
    });
    api.sandbox.faults = { ...api.sandbox.faults, silentRate: 0 };
    const types = [...api.replica.schema.types.keys()];
    await planTimeScan(api.replica, { kind: 'interval', types, since, reason: 'test' });
    for (const { id } of await openChunks(pool, 1_000)) {
      const chunk = await claimChunk(pool, id, 60_000);
      if (chunk !== null) await scanChunk(api.replica, chunk, { pageSize: 500, onPage: async () => {} });
    }
    for (const type of types) await refreshDue(api.replica, type, 200);
    const listed = async (type: string, id: number, field: string): Promise<readonly number[]> => {
      const read = readOf(type, [field], [['id', 'is', id]]);
      const answers = await Promise.all([api.readerUrl, api.siteUrl].map((url) => call(url, 'read', read)));
      const [ours = [], theirs = []] = answers.map((reply) =>
        ((entitiesOf(reply)[0]?.[field] ?? []) as unknown as readonly EntityRef[])
          .map((ref) => ref.id)
          .sort(),
      );
      assert.deepEqual(ours, theirs);
      return ours;
    };
    assert.ok((await listed('Shot', shot, 'tasks')).includes(task));
    assert.ok((await listed('Version', version, 'playlists')).includes(playlist));
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
      for (let polls = 0; polls < 5; polls += 1) await poll(api.replica, head, options);
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

  test('an id is given up only once the site was asked for it, and had room in its answer', async () => {
    const { pool } = api.replica.db;
    await pool.query('truncate understudy.event_log, understudy.open_event');
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
    await initWatermark(pool, head);
    // For longer than anything is waited for; all of it is there by now, and more than a page.
    await replaceGaps(pool, [{ first: head - 689, last: head - 11, seenAt: Date.now() - 3_600_000 }]);
    const epoch = await acquireLease(pool, 'test', 'me', 60_000);
    assert.ok(epoch !== null);
    const options = {
      batchSize: 100,
      gapTimeoutMs: 60_000,
      lease: { name: 'test', holder: 'me', epoch },
      onSchemaEvents: async () => {},
    };
    for (let polls = 0; polls < 5; polls += 1) {
      const { expired } = await poll(api.replica, head, options);
      assert.deepEqual(expired, []);
    }
    assert.deepEqual(await openGaps(pool), []);
    const { rows } = await pool.query('select count(*)::int as n from understudy.event_log');
    assert.deepEqual(rows, [{ n: 679 }]);
  });

  test('how fresh the replica is does not depend on the clock of the machine that polls', async () => {
    const { pool } = api.replica.db;
    const watermark = await readWatermark(pool);
    const epoch = await acquireLease(pool, 'test', 'me', 60_000);
    assert.ok(watermark !== null && epoch !== null);
    const options = {
      batchSize: 100,
      gapTimeoutMs: 60_000,
      lease: { name: 'test', holder: 'me', epoch },
      onSchemaEvents: async () => {},
    };
    await pool.query('delete from understudy.open_event');
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 3_600_000 });
    try {
      await poll(api.replica, watermark.polledThrough, options);
    } finally {
      mock.timers.reset();
    }
    const lagMs = (await readWatermark(pool))?.lagMs ?? Number.NaN;
    assert.ok(lagMs >= 0, `${lagMs} ms`);
  });

  test('an event whose job was lost is enqueued again, however busy the site is, but not while many jobs wait', async () => {
    const { pool } = api.replica.db;
    const queues = openQueueBackend(api.databaseUrl);
    const events = queues.queue('events');
    const attempt = <T>(work: () => Promise<T>): Promise<T> => work();
    const addJobs = (from: number, to: number): Promise<void> =>
      events.add(
        Array.from({ length: to - from }, (_, at) => ({
          id: `other-${from + at}`,
          name: 'events',
          data: { v: 1, events: [] },
          forget: true,
        })),
      );
    try {
      await pool.query('delete from understudy.event_log');
      await pool.query('delete from understudy.open_event');
      const entry = {
        id: 900_001,
        event_type: 'Shotgun_Project_Change',
        attribute_name: 'sg_description',
        entity: { type: 'Project', id: 1, name: 'one' },
        project: null,
        user: null,
        meta: {},
        created_at: '2026-01-01T00:00:00Z',
        description: null,
        session_uuid: null,
      };
      await storeEvents(pool, [{ entry, tick: 1, late: false }]);
      const swept = (missed: boolean): Promise<number> =>
        sweep(api.replica, queues, { missed, attempt }, 60_000);
      const age = (seconds: number): Promise<unknown> =>
        pool.query('update understudy.open_event set stored_at = now() - make_interval(secs => $1)', [
          seconds,
        ]);
      await addJobs(0, 5);
      assert.equal(await swept(false), 0, 'it is under way');
      assert.equal(await swept(true), 1, 'whoever stored it could not enqueue it, or was killed');
      await age(70);
      assert.equal(await swept(false), 1, 'a few jobs are no reason to wait so long');
      await addJobs(5, 40);
      assert.equal(await swept(false), 0, 'with many before it, it may wait');
      await age(700);
      assert.equal(await swept(false), 1);
    } finally {
      await queues.close();
    }
  });
});
