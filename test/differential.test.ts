import { existsSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { read } from '@understudy/sandbox-site/methods/read';
import { summarize } from '@understudy/sandbox-site/methods/summarize';
import {
  parseSandboxJson,
  parseSandboxYaml,
  type SandboxSchema,
} from '@understudy/sandbox-site/sandbox-schema';
import { SiteView } from '@understudy/sandbox-site/site-view';
import { type Api, sandboxSchemaText, startApi } from './api-rig.ts';
import { compareReads, compareRefusals, compareSummaries, sandboxAnswer } from './differential/compare.ts';
import { fillStudio } from './differential/fill-studio.ts';
import { invalidRead } from './differential/invalid-read.ts';
import { randomRead, randomSummarize } from './differential/random-read.ts';
import { studioOf } from './differential/studio.ts';

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

let api: Api | undefined;
after(() => api?.stop());

async function compare(
  schema: SandboxSchema,
  rowsPerType: number,
  scale: number,
  runs: number,
): Promise<void> {
  api = await startApi({
    schema,
    scale,
    cacheAll: true,
    fill: (siteUrl) => fillStudio(siteUrl, rowsPerType, SEED),
  });
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

test(`${OWN_RUNS} random reads of the sandbox's studio, seed ${SEED}`, async () => {
  await compare(parseSandboxYaml((await sandboxSchemaText()) + EVERY_DATA_TYPE), 12, 300, OWN_RUNS);
});

test(`${OTHER_RUNS} random reads of a whole site's schema, seed ${SEED}`, {
  skip: existsSync(SITE_SCHEMA) ? false : `${SITE_SCHEMA} is not there`,
}, async () => {
  await compare(parseSandboxJson(readFileSync(SITE_SCHEMA, 'utf8')), 6, 0, OTHER_RUNS);
});
