import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { advanceGenerations, beginRescan } from '@understudy/pipeline/advance-generation';
import { moveGeneration } from '@understudy/pipeline/move-generation';
import { type Replica, readReplica } from '@understudy/pipeline/replica';
import { readSiteSchema } from '@understudy/pipeline/site-schema';
import { planDue } from '@understudy/scanner/plan';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { localBudget } from '@understudy/site-client/budget';
import { createSiteClient, type SiteClient } from '@understudy/site-client/site-client';
import { claimChunk, failChunk, openChunks } from '@understudy/store/scans';
import { type Api, call, readOf, startApi } from './api-rig.ts';
import { differences } from './differences.ts';
import { followLog } from './follow-log.ts';

/** What a new generation adds to a type that is kept already is scanned by itself: nothing else of it is read again. */
const FIRST = `types:
  Project: {name: text, updated_at: date_time}
  Sequence: {code: text, updated_at: date_time}
  Asset: {code: text, updated_at: date_time}
  Shot: {code: text, sg_status_list: status_list, project: {entity: [Project]}, updated_at: date_time}
`;
const ADDED = `sg_cut_in: number, description: text, sg_sequence: {entity: [Sequence]}, assets: {multi_entity: [Asset]}`;
const SECOND = FIRST.replace('  Shot: {', `  Shot: {${ADDED}, `);
const NEW_FIELDS = ['assets', 'description', 'sg_cut_in', 'sg_sequence'];
const PAGE = 10;
/** Within the chunk, above every shot of the site. */
const NO_SHOT = 999;
const PLAN = { chunkSize: 1_000, intervalMs: 3_600_000, overlapMs: 0, wholeIntervalMs: 3_600_000 };

interface Read {
  readonly type: string;
  readonly fields: readonly string[];
  readonly isById: boolean;
}

/** Stands in front of the site and keeps what is read through it. */
async function startRecorder(siteUrl: string, reads: Read[]): Promise<{ url: string; server: Server }> {
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const { method_name, params } = JSON.parse(body);
    if (method_name === 'read') {
      const { type, return_fields, filters } = params[1];
      const isById = filters.conditions.some((one: { relation?: string }) => one.relation === 'in');
      reads.push({ type, fields: return_fields, isById });
    }
    const reply = await fetch(`${siteUrl}${request.url}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body,
    });
    const date = reply.headers.get('date');
    response.setHeader('content-type', reply.headers.get('content-type') ?? '');
    if (date !== null) response.setHeader('date', date);
    response.statusCode = reply.status;
    response.end(await reply.text());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

describe('a scan of single fields', () => {
  const reads: Read[] = [];
  let folder: string;
  let api: Api;
  let recorder: Awaited<ReturnType<typeof startRecorder>>;
  let client: SiteClient;
  let scanning: Replica;
  let writes = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'understudy-fields-'));
    await writeFile(join(folder, 'first.yaml'), FIRST);
    api = await startApi({ env: { UNDERSTUDY_SCHEMA_FILE: join(folder, 'first.yaml') } });
    recorder = await startRecorder(api.siteUrl, reads);
    client = createSiteClient({
      url: recorder.url,
      credentials: { scriptName: 'understudy', scriptKey: 'sandbox-key' },
      budget: localBudget({ concurrency: 4 }),
      timeoutMs: 10_000,
    });
    for (let step = 0; step < 3; step += 1) await advanceGenerations(api.replica.db);
  });
  after(async () => {
    await client?.close();
    recorder?.server.close();
    await api?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const ids = async (where: string): Promise<readonly number[]> => {
    const { rows } = await api.replica.db.pool.query<{ id: string }>(
      `select id from site.shot where ${where} order by id`,
    );
    return rows.map(({ id }) => Number(id));
  };

  /** One write to each of some shots on the site, in the fields that are scanned. */
  async function write(shots: readonly number[]): Promise<void> {
    for (const id of shots) {
      writes += 1;
      const n = writes;
      const values = {
        sg_cut_in: n,
        description: `written ${n}`,
        sg_sequence: { type: 'Sequence', id: 1 + (n % 3) },
        assets: [1 + (n % 4), 5 + (n % 3)].map((asset) => ({ type: 'Asset', id: asset })),
      };
      const fields = Object.entries(values).map(([field_name, value]) => ({ field_name, value }));
      const { json } = await call(api.siteUrl, 'update', { type: 'Shot', id, fields });
      assert.equal(json.exception, undefined, json.message);
    }
  }

  test('asks for these alone, under writes, retirements and revivals, also when it is begun again', async () => {
    const { site, siteUrl } = api.replica;
    const all = await ids('_active');
    assert.ok(all.length > 3 * PAGE, 'there are several pages');
    assert.ok((all.at(-1) ?? 0) < NO_SHOT);
    const [retiredLater = 0, revivedLater = 0, missing = 0, ...written] = all;
    const [first = 0, last = 0] = [written[0], written.at(-1)];
    await call(api.siteUrl, 'delete', { type: 'Shot', id: revivedLater });
    await followLog(api.replica);
    const reading = await readSiteSchema({ db: api.replica.db, site, siteUrl }, { priority: 'poll' });
    const generation = await moveGeneration({
      db: api.replica.db,
      databaseOptions: { url: api.databaseUrl, poolSize: 2, applicationName: 'test' },
      declared: parseCachedSchema(SECOND),
      reading,
      source: 'test',
      isAutomatic: true,
    });
    const { db } = await api.replica.renew();
    await beginRescan(db, generation);
    // Heard of after the move and before the scan; the scan must not set it back, nor what comes during it.
    await write([first, last]);
    await followLog(api.replica);
    // A row that was lost here, and one that the site does not have.
    await db.pool.query('delete from site.shot where id = $1', [missing]);
    await db.pool.query('insert into site.shot (id, _active, _fetched_tick) values ($1, true, 1)', [NO_SHOT]);
    scanning = await readReplica((await api.replica.renew()).db, client);
    reads.length = 0;
    assert.deepEqual(await planDue(scanning, PLAN), ['fields']);
    assert.deepEqual(await planDue(scanning, PLAN), [], 'it is planned once');
    const planned = reads.length;
    const chunks = await openChunks(db.pool, 100);
    assert.deepEqual([...new Set(chunks.map(({ type }) => type))], ['Shot']);
    const [chunk] = chunks;
    assert.ok(chunk !== undefined && chunks.length === 1);

    // Its worker dies on the second page; another one begins again.
    let pages = 0;
    const dies = async (): Promise<void> => {
      pages += 1;
      await write(written.slice(0, 3));
      await followLog(api.replica);
      if (pages === 2) throw new Error('killed');
    };
    const claimed = await claimChunk(db.pool, chunk.id, 1);
    assert.ok(claimed !== null);
    await assert.rejects(scanChunk(scanning, claimed, { pageSize: PAGE, onPage: dies }), /killed/);
    await failChunk(db.pool, chunk.id, 'killed');
    const isServed = async (): Promise<boolean> => {
      const { headers } = await call(api.readerUrl, 'read', readOf('Shot', ['description']));
      return String(headers['x-understudy']).startsWith('replica');
    };
    assert.equal(await isServed(), false);

    pages = 0;
    const again = await claimChunk(db.pool, chunk.id, 60_000);
    assert.ok(again !== null);
    const onPage = async (): Promise<void> => {
      pages += 1;
      await write([written[pages] ?? first, written[written.length - pages] ?? last, last]);
      // Retired and revived while their pages have been read already, or are still to come.
      if (pages === 2) await call(api.siteUrl, 'delete', { type: 'Shot', id: retiredLater });
      if (pages === 3) await call(api.siteUrl, 'revive', { type: 'Shot', id: revivedLater });
      if (pages % 2 === 0) await followLog(api.replica);
    };
    await scanChunk(scanning, again, { pageSize: PAGE, onPage });
    assert.ok(pages > 3);
    await followLog(api.replica);

    const ofScan = reads.slice(planned).filter(({ isById }) => !isById);
    assert.ok(ofScan.length >= pages);
    for (const { type, fields } of ofScan) {
      assert.equal(type, 'Shot');
      assert.deepEqual([...fields].filter((name) => name !== 'id').sort(), NEW_FIELDS);
    }
    assert.ok(
      reads.some(({ isById, fields }) => isById && fields.includes('code')),
      'a missing row is fetched whole',
    );
    assert.deepEqual(await differences(await api.replica.renew(), ['Shot'], 0), []);
    assert.deepEqual(await ids(`id in (${missing}, ${NO_SHOT})`), [missing]);
    for (let step = 0; step < 3; step += 1) await advanceGenerations(db);
    await until('it is served', isServed);
  });
});
