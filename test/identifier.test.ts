import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { planTimeScan } from '@understudy/pipeline/plan-scan';
import { verifyType } from '@understudy/pipeline/verify/verify-type';
import { parseSandboxYaml } from '@understudy/sandbox-site/sandbox-schema';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { claimChunk, openChunks } from '@understudy/store/scans';
import { type Api, call, readOf, SCRIPT, sandboxSchemaText, startApi } from './api-rig.ts';
import { filteredSchema } from './filtered-schema.ts';
import { followLog } from './follow-log.ts';

/**
 * Types whose display names mirror another field than usual, which only the site's private schema tells: links to them
 * are named as on the site, whether the type is kept or not, and whether or not an event told of the new name.
 */
const QUIET = { script_name: 'quiet', script_key: 'quiet-key' };
const PATTERNS = `
+ Project.name
+ Shot.code
+ Shot.sg_thing
+ Shot.sg_other
+ Shot.updated_at
+ CustomEntity01.code
+ CustomEntity01.updated_at
`;
const IDENTIFIERS = { CustomEntity01: 'sg_title', CustomEntity02: 'sg_label' };
const SHOT = 1;

describe('types whose names mirror another field than usual', () => {
  let folder: string;
  let api: Api;
  let thing = { type: 'CustomEntity01', id: 0 };
  let other = { type: 'CustomEntity02', id: 0 };

  async function write(
    url: string,
    method: 'create' | 'update',
    entity: { readonly type: string; readonly id?: number },
    values: Readonly<Record<string, unknown>>,
    auth: object = SCRIPT,
  ): Promise<number> {
    const fields = Object.entries(values).map(([field_name, value]) => ({ field_name, value }));
    const { json } = await call(url, method, { ...entity, fields, return_fields: ['id'] }, auth);
    assert.equal(json.exception, undefined, json.message);
    return (json.results as { readonly id: number }).id;
  }

  before(async () => {
    const own = await sandboxSchemaText();
    const schema = own
      .replace(
        '  CustomEntity01:\n',
        '  CustomEntity02: {code: text, sg_label: text}\n  CustomEntity01:\n    sg_title: text\n',
      )
      .replace(
        '  Shot:\n',
        '  Shot:\n    sg_thing: {entity: [CustomEntity01]}\n    sg_other: {entity: [CustomEntity02]}\n',
      );
    folder = await mkdtemp(join(tmpdir(), 'understudy-identifier-'));
    const file = join(folder, 'schema.yaml');
    const project = { type: 'Project', id: 1 };
    api = await startApi({
      schema: parseSandboxYaml(`${schema}\nidentifiers: ${JSON.stringify(IDENTIFIERS)}\n`),
      env: { UNDERSTUDY_SCHEMA_FILE: file },
      fill: async (url) => {
        await writeFile(file, await filteredSchema(url, PATTERNS));
        thing = {
          type: 'CustomEntity01',
          id: await write(
            url,
            'create',
            { type: 'CustomEntity01' },
            { code: 'T1', sg_title: 'a title', project },
          ),
        };
        other = {
          type: 'CustomEntity02',
          id: await write(url, 'create', { type: 'CustomEntity02' }, { code: 'O1', sg_label: 'a label' }),
        };
        const links = { sg_thing: thing, sg_other: other };
        await write(url, 'update', { type: 'Shot', id: SHOT }, links);
      },
    });
    const written = parseCachedSchema(await readFile(file, 'utf8'));
    assert.deepEqual(Object.fromEntries(written.identifiers ?? []), IDENTIFIERS);
  });
  after(async () => {
    await api?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Waits until a reader answers with the site's names of the links, and checks that nothing differs. */
  async function named(thingName: string, otherName: string): Promise<void> {
    const payload = readOf('Shot', ['code', 'sg_thing', 'sg_other'], [['id', 'is', SHOT]]);
    const ours = await until('it is answered here', async () => {
      const answer = await call(api.readerUrl, 'read', payload);
      return String(answer.headers['x-understudy']).startsWith('replica') ? answer : null;
    });
    assert.deepEqual(ours.json.results, (await call(api.siteUrl, 'read', payload)).json.results);
    assert.ok(ours.text.includes(`"${thingName}"`) && ours.text.includes(`"${otherName}"`), ours.text);
    for (const type of ['Shot', 'CustomEntity01']) {
      const { different } = await verifyType(await api.replica.renew(), type, {
        priority: 'audit',
        settleMs: 0,
        signal: new AbortController().signal,
        onCompared: () => {},
        onDifference: (difference) => console.error(JSON.stringify(difference)),
      });
      assert.equal(different, 0, type);
    }
  }

  test('are named as the site names them, from the scan on', () => named('a title', 'a label'));

  test('an event of that field renames them, and one of the usual field does not', async () => {
    await write(api.siteUrl, 'update', thing, { sg_title: 'told', code: 'no name' });
    await write(api.siteUrl, 'update', other, { code: 'nor this', sg_label: 'told too' });
    await followLog(api.replica);
    await named('told', 'told too');
  });

  test('a silent change of a kept type is found by the next scan of what changed, though it keeps no names', async () => {
    const since = new Date(Date.now() - 60_000);
    await write(api.siteUrl, 'update', thing, { sg_title: 'silent' }, QUIET);
    const replica = await api.replica.renew();
    await planTimeScan(replica, { kind: 'interval', types: ['CustomEntity01'], since, reason: 'test' });
    for (const { id } of await openChunks(replica.db.pool, 10)) {
      const chunk = await claimChunk(replica.db.pool, id, 60_000);
      if (chunk !== null) await scanChunk(replica, chunk, { pageSize: 500, onPage: async () => {} });
    }
    await named('silent', 'told too');
  });
});
