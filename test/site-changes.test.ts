import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createSchemaWatch, type SchemaWatch } from '@understudy/event-poller/schema-watch';
import { until } from '@understudy/harness/until';
import { advanceGenerations } from '@understudy/pipeline/advance-generation';
import { replicaSource } from '@understudy/pipeline/replica';
import { planDue } from '@understudy/scanner/plan';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { type Database, openDatabase } from '@understudy/store/database';
import { readGenerations } from '@understudy/store/generations';
import { claimChunk, openChunks } from '@understudy/store/scans';
import { pino } from 'pino';
import { type Api, call, readOf, send, startApi } from './api-rig.ts';
import { followLog } from './follow-log.ts';

/** Fields made, renamed, retyped and deleted on the site, with one poll after each, and with and without autoApply. */
describe('changes of the site’s schema', () => {
  let api: Api;
  let db: Database;
  const watches: { readonly off: SchemaWatch; readonly on: SchemaWatch }[] = [];
  before(async () => {
    api = await startApi();
    const databaseOptions = { url: api.databaseUrl, poolSize: 3, applicationName: 'test' };
    db = await openDatabase(databaseOptions);
    await advance();
    const replicas = replicaSource(await api.replica.renew());
    const log = pino({ level: 'silent' });
    const watch = (autoApply: boolean): SchemaWatch =>
      createSchemaWatch({
        db,
        databaseOptions,
        replicas,
        log,
        config: { schema: { file: '', retiredKeepMs: 3_600_000, checkMs: 3_600_000, autoApply } },
      });
    watches.push({ off: watch(false), on: watch(true) });
  });
  after(async () => {
    await db?.close();
    await api?.stop();
  });

  async function advance(): Promise<void> {
    for (let step = 0; step < 3; step += 1) await advanceGenerations(db);
  }

  async function changeSite(body: object): Promise<void> {
    const reply = await send(`${api.siteUrl}/_sandbox/schema`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.equal(reply.status, 200, reply.text);
  }

  /** A change on the site, and the poll after it. */
  async function change(kind: 'off' | 'on', body: object): Promise<void> {
    await changeSite(body);
    const watch = watches[0]?.[kind];
    assert.ok(watch !== undefined);
    await followLog(api.replica, watch.onEvents);
    await watch.look();
  }

  /** What scanners do by themselves. */
  async function scan(): Promise<void> {
    await advance();
    const replica = await api.replica.renew();
    await planDue(replica, {
      chunkSize: 10_000,
      intervalMs: 3_600_000,
      overlapMs: 0,
      wholeIntervalMs: 3_600_000,
    });
    for (const { id } of await openChunks(db.pool, 1_000)) {
      const chunk = await claimChunk(db.pool, id, 60_000);
      if (chunk !== null) await scanChunk(replica, chunk, { pageSize: 500, onPage: async () => {} });
    }
    await advance();
  }

  /** Waits until the reader answers from where it should, and checks that the answer is the site's. */
  async function answered(source: 'replica' | 'site', fields: readonly string[]): Promise<void> {
    const payload = readOf('Shot', ['code', ...fields]);
    const ours = await until(`${fields} from the ${source}`, async () => {
      const reply = await call(api.readerUrl, 'read', payload);
      return String(reply.headers['x-understudy']).startsWith(source) ? reply : null;
    });
    assert.deepEqual(ours.json.results, (await call(api.siteUrl, 'read', payload)).json.results);
  }

  const write = async (field: string, value: unknown): Promise<void> => {
    const fields = [{ field_name: field, value }];
    const { json } = await call(api.siteUrl, 'update', { type: 'Shot', id: 1, fields });
    assert.equal(json.exception, undefined, json.message);
  };

  test('off: what does not fit passes through from the next poll on, and the rest is served', async () => {
    const [first] = await readGenerations(db.pool);
    await answered('replica', ['sg_cut_in', 'sg_cut_out', 'description']);
    await change('off', { change: 'add', type: 'Shot', field: 'sg_made', dataType: 'text' });
    await write('sg_made', 'made');
    await answered('site', ['sg_made']);
    await change('off', { change: 'rename', type: 'Shot', field: 'description', displayName: 'Another' });
    await answered('replica', ['sg_cut_in', 'description']);
    await change('off', { change: 'retype', type: 'Shot', field: 'sg_cut_in', dataType: 'text' });
    await answered('site', ['sg_cut_in']);
    await change('off', { change: 'delete', type: 'Shot', field: 'sg_cut_out' });
    await answered('site', ['sg_cut_out']);
    await answered('replica', ['description']);
    await scan();
    assert.deepEqual(
      (await readGenerations(db.pool)).map(({ id, state }) => [id, state]),
      [[first?.id, 'serving']],
    );
    await answered('site', ['sg_made']);
  });

  test('on: a generation follows the site by itself; what was missed meanwhile is taken up as well', async () => {
    await watches[0]?.on.look();
    await answered('site', ['sg_made']);
    await scan();
    await answered('replica', ['sg_made', 'sg_cut_in', 'sg_cut_out', 'description']);
    await change('on', { change: 'add', type: 'Shot', field: 'sg_later', dataType: 'number' });
    await write('sg_later', 5);
    await followLog(api.replica);
    await scan();
    await answered('replica', ['sg_later']);
    await change('on', { change: 'retype', type: 'Shot', field: 'sg_later', dataType: 'text' });
    await answered('site', ['sg_later']);
    await scan();
    await answered('replica', ['sg_later']);
    await change('on', { change: 'rename', type: 'Shot', field: 'sg_later', displayName: 'Later still' });
    await answered('replica', ['sg_later']);
    await change('on', { change: 'delete', type: 'Shot', field: 'sg_later' });
    await answered('site', ['sg_later']);
    await scan();
    await answered('replica', ['sg_later', 'description']);
  });

  test('on: of fields made one soon after the other, none is forgotten', async () => {
    const made = (field: string): object => ({ change: 'add', type: 'Shot', field, dataType: 'text' });
    await changeSite(made('sg_one'));
    await followLog(api.replica, watches[0]?.on.onEvents);
    // It is there when the schema is read for the first one, and no poll has heard of it.
    await changeSite(made('sg_two'));
    await watches[0]?.on.look();
    await followLog(api.replica, watches[0]?.on.onEvents);
    await scan();
    await watches[0]?.on.look();
    await scan();
    await answered('replica', ['sg_one', 'sg_two']);
  });
});
