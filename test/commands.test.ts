import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import type { EventLogEntry } from '@understudy/domain/event';
import { createTestDatabase } from '@understudy/harness/postgres';
import { until } from '@understudy/harness/until';
import { planFullScan } from '@understudy/pipeline/plan-scan';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { storeEvents } from '@understudy/store/event-log';
import { eventsStoredAfter, lastEventTick } from '@understudy/store/find-events';
import { followedFields, serveNothing } from '@understudy/store/followed-fields';
import { claimChunk, openChunks } from '@understudy/store/scans';
import { type Api, call, startApi } from './api-rig.ts';

describe('understudy scan and events', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api?.stop());

  test('a scan of one project reads that project alone, and proves nothing of the type', async () => {
    const { pool } = api.replica.db;
    const { rows: used } = await pool.query<{ id: string }>('select min(project__id) as id from site.shot');
    const full = Number(used[0]?.id);
    const made = await call(api.siteUrl, 'create', {
      type: 'Project',
      fields: [{ field_name: 'name', value: 'Empty' }],
    });
    const empty = (made.json.results as { id: number }).id;
    const { code, stdout, stderr } = await api.understudy(
      ...['scan', '--full', '--types', 'Shot', '--projects', String(full), '--json'],
    );
    assert.equal(code, 0, stderr);
    const asked = (JSON.parse(stdout) as { scan: number }).scan;
    const other = await planFullScan(api.replica, {
      types: ['Shot'],
      chunkSize: 1_000_000,
      reason: 'test',
      projectIds: [empty],
    });
    await serveNothing(pool);
    await pool.query(`update site.shot set description = 'stale'`);
    const stale = async (): Promise<number> =>
      Number(
        (await pool.query(`select count(*) as n from site.shot where description = 'stale'`)).rows[0]?.n,
      );
    const before = await stale();
    const scan = async (scanId: number): Promise<number> => {
      let count = 0;
      for (const chunk of await openChunks(pool, 10)) {
        const claimed = chunk.scanId === scanId ? await claimChunk(pool, chunk.id, 60_000) : null;
        if (claimed === null) continue;
        count += await scanChunk(api.replica, claimed, { pageSize: 100, onPage: async () => {} });
      }
      return count;
    };
    assert.equal(await scan(other), 0);
    assert.equal(await stale(), before, 'rows of other projects neither change nor vanish');
    assert.ok((await scan(asked)) > 0);
    assert.ok((await stale()) < before);
    assert.ok((await followedFields(pool)).every((field) => !field.isServed));
  });

  test('bad requests are refused and change nothing', async () => {
    const { pool } = api.replica.db;
    const scans = async (): Promise<unknown> => (await pool.query('select id from understudy.scan')).rows;
    const before = await scans();
    const refused = [
      [[], 64, /--full and --since/],
      [['--nonsense'], 64, /unknown option/],
      [['--since', 'yesterday'], 64, /is invalid/],
      [['--full', '--types', 'Nonsense'], 64, /not cached here: Nonsense/],
    ] as const;
    for (const [args, exit, message] of refused) {
      const { code, stderr } = await api.understudy('scan', ...args);
      assert.equal(code, exit);
      assert.match(stderr, message);
    }
    assert.deepEqual(await scans(), before);
  });

  test('times and ids that do not exist are refused as such', async () => {
    const refused = [
      ['history', 'Shot', '1', '--since', '2026-02-31'],
      ['history', 'Shot', '1', '--since', '2026-11-26 (so)'],
      ['history', 'Shot', '1', '--since', '99999999999999999d'],
      ['read', 'Shot', '--as-of', '99999999999999999999'],
      ['read', 'Shot', '--as-of', '999999999d'],
      ['reprocess', '--events', '1..99999999999999999999'],
      ['dump-data', '--types', 'Shot', '--fields', 'code,nonsense'],
    ];
    for (const args of refused) {
      const { code, stdout, stderr } = await api.understudy(...args);
      assert.deepEqual([code, stdout], [64, ''], `${args.join(' ')}: ${stderr}`);
    }
    for (const time of ['2026-11-26', '2026-11-26 08:00', '2026-11-26T08:00:00.5+01:00', '90min'])
      assert.equal((await api.understudy('history', 'Shot', '1', '--since', time)).code, 0, time);
  });

  test('an empty database is said to be one', async () => {
    const empty = await createTestDatabase();
    try {
      for (const args of [
        ['history', 'Shot', '1'],
        ['events'],
        ['ctl', 'all', 'ping', '--control-secret', 'a secret of enough letters'],
        ['explain', '{}'],
        ['schema', 'apply', 'schema/default.yaml'],
        ['schema', 'status'],
        ['dump-data'],
      ]) {
        const { code, stderr } = await api.understudy(...args, '--database-url', empty.url);
        assert.equal(code, 69, `${args.join(' ')}: ${stderr}`);
        assert.match(stderr, /^understudy: no service has prepared a replica.*\n$/, args.join(' '));
      }
    } finally {
      await empty.drop();
    }
  });

  test('output that cannot be written is said in one line', async () => {
    for (const file of ['/nonexistent/out.jsonl', '/dev/full']) {
      const { code, stderr } = await api.understudy('dump-data', '--types', 'Shot', '--output', file);
      assert.equal(code, 70);
      assert.match(stderr, /^understudy: E[A-Z]+: .*\n$/);
    }
  });

  test('Ctrl-C ends a load whose input does not come, and says that it was stopped', async () => {
    const child = api.startUnderstudy('load-data');
    child.stderr.setEncoding('utf8');
    let said = '';
    child.stderr.on('data', (text: string) => {
      said += text;
    });
    const ended = once(child, 'close');
    // More than a pipe holds: who has read it listens to us by now.
    child.stdin.write('\n'.repeat(4_000_000), () => child.kill('SIGINT'));
    const [code] = await ended;
    assert.deepEqual([code, said], [130, 'understudy: stopped\n']);
  });

  const event = (id: number, shot: number, more: Partial<EventLogEntry> = {}): EventLogEntry => ({
    id,
    event_type: 'Shotgun_Shot_Change',
    attribute_name: 'code',
    entity: null,
    project: null,
    user: null,
    meta: { entity_type: 'Shot', entity_id: shot, old_value: 'a', new_value: 'b' },
    created_at: '2026-11-24T08:00:00Z',
    description: null,
    session_uuid: null,
    ...more,
  });
  const store = (entry: EventLogEntry, tick: number): Promise<number> =>
    storeEvents(api.replica.db.pool, [{ entry, tick, late: false }]);

  test('events are found by entity, state and time, and parked ones tried again', async () => {
    const { pool } = api.replica.db;
    await store(event(101, 1), 1_000_001);
    await store(event(103, 2, { event_type: 'Shotgun_Task_New' }), 1_000_002);
    const tick = await lastEventTick(pool);
    await store(event(102, 1), 1_000_003);
    const followed = await eventsStoredAfter(pool, tick, { limit: 10 });
    assert.deepEqual(
      followed.map(({ entry }) => entry.id),
      [102],
      'what came late is followed as well',
    );
    await pool.query(`update understudy.open_event set error = 'bad value' where id = 102`);
    const ids = async (...args: string[]): Promise<readonly number[]> => {
      const { code, stdout, stderr } = await api.understudy('events', '--json', ...args);
      assert.equal(code, 0, stderr);
      return stdout
        .split('\n')
        .flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { id: number }).id]));
    };
    assert.deepEqual(await ids('--entity', 'Shot:1'), [101, 102]);
    assert.deepEqual(await ids('--from', '102', '--type', 'Shotgun_*_New'), [103]);
    const parked = await api.understudy('events', '--parked');
    assert.match(parked.stdout, /^102 .*parked.*Shot:1 .*code "a" → "b".*\[bad value\]$/m);
    assert.match((await api.understudy('events', '--retry-parked')).stdout, /1 event will be applied again/);
  });

  test('events are followed from those that are there on, each told once', async () => {
    const child = api.startUnderstudy('events', '--follow', '--json', '--type', 'Shotgun_Shot_*');
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const told = (): readonly number[] =>
      said.split('\n').flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { id: number }).id]));
    const ended = once(child, 'close');
    let id = 200;
    // While it begins, and for some of its looks.
    await until('more are followed than were there', async () => {
      id += 2;
      await store(event(id, 1), 2_000_000 + id);
      await store(event(id + 1, 1, { event_type: 'Shotgun_Task_Change' }), 2_000_001 + id);
      return said.split('\n').length > 40 && told().length > 40;
    });
    await store(event(900, 1), 3_000_000);
    await until('the last one is told', () => said.endsWith('\n') && told().includes(900));
    child.kill('SIGINT');
    await ended;
    const ids = told();
    assert.equal(new Set(ids).size, ids.length, 'none is told twice');
    const since = ids.filter((one) => one > 200 && one < 900);
    const first = since[0] ?? 0;
    assert.deepEqual(
      since,
      since.map((_, at) => first + 2 * at),
      'none is left out',
    );
    assert.equal(since.at(-1), id);
  });
});
