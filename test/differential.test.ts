import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyType } from '@understudy/pipeline/verify/verify-type';
import { read } from '@understudy/sandbox-site/methods/read';
import { summarize } from '@understudy/sandbox-site/methods/summarize';
import {
  parseSandboxJson,
  parseSandboxYaml,
  type SandboxSchema,
} from '@understudy/sandbox-site/sandbox-schema';
import { SiteView } from '@understudy/sandbox-site/site-view';
import { type Api, call, entitiesOf, type Reply, readOf, sandboxSchemaText, startApi } from './api-rig.ts';
import {
  compareReads,
  compareRefusals,
  compareSummaries,
  Shares,
  sandboxAnswer,
} from './differential/compare.ts';
import { fillStudio } from './differential/fill-studio.ts';
import { invalidRead } from './differential/invalid-read.ts';
import { randomRead, randomSummarize } from './differential/random-read.ts';
import { studioOf } from './differential/studio.ts';
import { filteredSchema } from './filtered-schema.ts';

/**
 * Random reads on the replica and on the sandbox site, every value compared. DIFFERENTIAL_RUNS sets how many,
 * DIFFERENTIAL_SEED repeats a run, DIFFERENTIAL_DETAIL prints exactly why reads passed through, SITE_SCHEMA_JSON names a file with the `schema_read` of any site.
 */
const RUNS = Number(process.env['DIFFERENTIAL_RUNS'] ?? 0);
const SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? Date.now() % 2 ** 31);
const OWN_RUNS = RUNS || 1_000;
/** Each goes the whole way twice, which takes longer. */
const INVALID_RUNS = Math.min(RUNS || 200, 2_000);
const OTHER_RUNS = RUNS || 500;
const SITE_SCHEMA =
  process.env['SITE_SCHEMA_JSON'] ??
  fileURLToPath(new URL('../../shared/data/site-schema.json', import.meta.url));

/** A type that has a field of every data type. */
const EVERY_DATA_TYPE = `
  CustomEntity30:
    code: text
    project: {entity: [Project]}
    sg_text: text
    sg_number: number
    sg_float: float
    sg_percent: percent
    sg_duration: duration
    sg_timecode: timecode
    sg_currency: currency
    sg_footage: footage
    sg_date: date
    sg_date_time: date_time
    sg_checkbox: checkbox
    sg_list: {list: [Alpha, beta, "it's", "100%", Straße]}
    sg_status_list: {status_list: [wtg, ip, IP, fin]}
    sg_entity_type: entity_type
    sg_color: color
    sg_uuid: uuid
    sg_entity: {entity: [Shot, Asset, CustomEntity30]}
    sg_self: {entity: [CustomEntity30]}
    sg_multi: {multi_entity: [Shot, Task, CustomEntity30]}
    sg_addressing: {addressing: [HumanUser, Group]}
    sg_tag_list: tag_list
    sg_image: image
    sg_url: url
    sg_jsonb: jsonb
    sg_serializable: serializable
    sg_system_task_type: system_task_type
`;

/** Patterns of a schema file that keeps all there is. */
const EVERYTHING = '+ *\n';
const SIGNED: ReadonlySet<string> = new Set(['image', 'url']);

let api: Api | undefined;
after(() => api?.stop());

async function compare(
  schema: SandboxSchema,
  rowsPerType: number,
  scale: number,
  runs: number,
  schemaFile?: string,
): Promise<void> {
  api = await startApi({
    schema,
    scale,
    ...(schemaFile === undefined ? { cacheAll: true } : { env: { UNDERSTUDY_SCHEMA_FILE: schemaFile } }),
    fill: async (siteUrl) => {
      if (schemaFile !== undefined) await writeFile(schemaFile, await filteredSchema(siteUrl, EVERYTHING));
      await fillStudio(siteUrl, rowsPerType, SEED);
    },
  });
  if (schemaFile !== undefined) await readEveryType(api);
  const { data } = api.sandbox;
  const studio = await studioOf(api.siteUrl, api.replica.schema);
  const shares = await compareReads(
    api,
    randomRead(studio),
    (payload, now) => {
      const view = new SiteView(data, { method: 'read', user: null, rules: null, now, media: null });
      return sandboxAnswer(() => read(view, payload));
    },
    { runs, seed: SEED },
  );
  shares.print('random reads');
  const summaries = await compareSummaries(
    api,
    randomSummarize(studio),
    (payload, now) => {
      const view = new SiteView(data, { method: 'summarize', user: null, rules: null, now, media: null });
      return sandboxAnswer(() => summarize(view, payload));
    },
    { runs, seed: SEED },
  );
  summaries.print('random summaries, share with groups');
  const refusals = await compareRefusals(api, invalidRead(studio), { runs: INVALID_RUNS, seed: SEED });
  refusals.print('reads that are mostly refused');
  await api.stop();
  api = undefined;
}

/**
 * A replica of every type: nothing differs from the site, and reads of each type's kept fields are answered here, alive
 * and retired. Prints why reads of all its fields pass through.
 */
async function readEveryType({ readerUrl, siteUrl, replica }: Api): Promise<void> {
  const site = await replica.site.schemaRead({ priority: 'client' });
  const types = [...site.keys()].filter((type) => type !== 'EventLogEntry');
  assert.deepEqual([...replica.schema.types.keys()].sort(), types.sort());
  const shares = new Shares();
  for (const type of types) {
    const { different } = await verifyType(replica, type, {
      priority: 'audit',
      settleMs: 0,
      signal: new AbortController().signal,
      onCompared: () => {},
      onDifference: (difference) => console.error(JSON.stringify(difference)),
    });
    assert.equal(different, 0, type);
    const kept = [...(replica.schema.types.get(type)?.fields.keys() ?? [])];
    for (const [fields, returnOnly] of [
      [kept, 'active'],
      [kept, 'retired'],
      [[...(site.get(type)?.keys() ?? [])], 'active'],
    ] as const) {
      const payload = readOf(type, fields, [], { return_only: returnOnly });
      const ours = await call(readerUrl, 'read', payload);
      const theirs = await call(siteUrl, 'read', payload);
      const source = String(ours.headers['x-understudy']);
      if (fields === kept) assert.match(source, /^replica/, `${type}: ${kept.join(', ')}`);
      else shares.count(source, entitiesOf(ours).length > 0);
      // Addresses of pictures and files are signed anew each time.
      const lasting = (reply: Reply): readonly unknown[] =>
        entitiesOf(reply).map((row) =>
          Object.fromEntries(
            Object.entries(row).filter(([name]) => !SIGNED.has(site.get(type)?.get(name)?.dataType ?? '')),
          ),
        );
      assert.deepEqual(lasting(ours), lasting(theirs), type);
    }
  }
  shares.print('reads of all fields of a type');
}

/** What the site itself keeps of a row; the rest of what only it may write is filled as well, so that it can be asked for. */
const KEPT_BY_SITE: ReadonlySet<string> = new Set(['id', 'updated_at', 'updated_by', 'cached_display_name']);

function writable(schema: SandboxSchema): SandboxSchema {
  for (const { fields } of schema.values())
    for (const [name, field] of fields)
      if (!KEPT_BY_SITE.has(name)) fields.set(name, { ...field, readOnly: false });
  return schema;
}

test(`${OWN_RUNS} random reads of the sandbox's studio, seed ${SEED}`, async () => {
  await compare(parseSandboxYaml((await sandboxSchemaText()) + EVERY_DATA_TYPE), 12, 300, OWN_RUNS);
});

test(`${OTHER_RUNS} random reads of a whole site's schema, seed ${SEED}`, {
  skip: existsSync(SITE_SCHEMA) ? false : `${SITE_SCHEMA} is not there`,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-whole-site-'));
  try {
    const schema = writable(parseSandboxJson(readFileSync(SITE_SCHEMA, 'utf8')));
    await compare(schema, 6, 0, OTHER_RUNS, join(folder, 'schema.yaml'));
  } finally {
    await rm(folder, { recursive: true });
  }
});
