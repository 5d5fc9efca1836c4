import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EntityRow } from '@understudy/domain/entity';
import fc from 'fast-check';
import { type Api, call, entitiesOf, type Reply, readOf, startApi } from './api-rig.ts';
import { randomRead, type Studio } from './differential/random-read.ts';

/**
 * Random reads get from the replica what the sandbox site's own evaluator, which shares no code with the SQL compiler,
 * answers. UNDERSTUDY_DIFFERENTIAL_READS sets how many, UNDERSTUDY_DIFFERENTIAL_SEED repeats a run.
 */
const READS = Number(process.env['UNDERSTUDY_DIFFERENTIAL_READS'] ?? 1_000);
const SEED = Number(process.env['UNDERSTUDY_DIFFERENTIAL_SEED'] ?? Date.now() % 2 ** 31);

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api?.stop());

async function studioOf(): Promise<Studio> {
  const rows = new Map<string, readonly EntityRow[]>();
  const { schema } = api.replica;
  for (const type of schema.types.values()) {
    const reply = await call(api.siteUrl, 'read', readOf(type.name, [...type.fields.keys()]));
    rows.set(type.name, entitiesOf(reply));
  }
  return { schema, rows };
}

function answerOf({ status, json }: Reply): unknown {
  if (json.exception === true) return { status, code: json.error_code, message: json.message };
  const { entities, paging_info: paging } = json.results as unknown as {
    readonly entities: unknown;
    readonly paging_info: { readonly has_next_page: boolean };
  };
  return { status, entities, hasNextPage: paging.has_next_page };
}

test(`${READS} random reads equal the site's answers, seed ${SEED}`, async () => {
  const studio = await studioOf();
  const sources = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(randomRead(studio), async (read) => {
      const ask = async (url: string): Promise<Reply> => call(url, 'read', read);
      const [ours, theirs] = await Promise.all([ask(api.readerUrl), ask(api.siteUrl)]);
      const source = String(ours.headers['x-understudy']);
      sources.set(source, (sources.get(source) ?? 0) + 1);
      assert.notEqual(
        source,
        'site; reason=replica-failed',
        `PostgreSQL refused: ${api.logged.findLast((line) => line.includes('failed in PostgreSQL'))}`,
      );
      assert.deepEqual(answerOf(ours), answerOf(theirs), source);
    }),
    { numRuns: READS, seed: SEED },
  );
  for (const [source, count] of [...sources].sort((a, b) => b[1] - a[1])) {
    console.log(`# ${((100 * count) / READS).toFixed(1)} % ${source}`);
  }
});
