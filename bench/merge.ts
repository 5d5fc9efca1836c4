import { parseArgs } from 'node:util';
import type { Replica } from '@understudy/pipeline/replica';
import { entityTable } from '@understudy/store/entity-tables';
import { mergeFetched } from '@understudy/store/merge/fetched';
import { nextTick } from '@understudy/store/tick';
import pg from 'pg';
import { startDatabases } from './databases.ts';
import { print } from './report.ts';
import { SCHEMA_FILE, startSite } from './rig.ts';
import { median } from './statistics.ts';
import { first, openReplica, PAGE, pages } from './studio/fill-replica.ts';
import { PLAIN_TABLES } from './studio/plain-studio.ts';
import { plainUpsert } from './studio/plain-upsert.ts';
import { studioOf, studioRows } from './studio/studio.ts';

/**
 * The merge of fetched rows, as a full scan writes them, beside a plain upsert of the same rows in pages of 500. In each
 * round first into empty tables, then over what is there with another value in each row; with the data-update log
 * switched off (`history.enabled`) and on. The first round, in which everything is slower, does not count.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    rows: { type: 'string', default: '10000' },
  },
});
const rowCount = Number(values.rows);
const TYPES = ['Shot', 'Task', 'Version'];
const studio = studioOf(1);

const site = await startSite();
const databases = await startDatabases();
const { replica, close } = await openReplica({
  databaseUrl: await databases.create('replica'),
  siteUrl: site.url,
  schemaFile: SCHEMA_FILE,
});
const plain = new pg.Client({ connectionString: await databases.create('plain') });
await plain.connect();
await plain.query(PLAIN_TABLES);

async function mergeAll(
  { db, schema }: Replica,
  type: string,
  rows: readonly Page[],
  logged: boolean,
): Promise<void> {
  const cached = schema.types.get(type);
  if (cached === undefined) throw new Error(`${type} is not kept`);
  const table = entityTable(cached);
  for (const page of rows) {
    const tick = await nextTick(db.pool);
    await db.transaction((tx) =>
      mergeFetched(tx, table, {
        tick,
        siteTime: new Date(),
        rows: page.map((row) => ({ row, active: true })),
        origin: { source: 'scan', logged },
      }),
    );
  }
}

type Page = Parameters<typeof plainUpsert>[2];

async function seconds(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

async function empty({ db }: Replica): Promise<void> {
  const { rows } = await db.pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'site'`,
  );
  await db.pool.query(
    `truncate ${rows.map(({ name }) => name).join(', ')}, understudy.link_target, understudy.data_update`,
  );
  await plain.query('truncate site.shot, site.task, site.task__task_assignees, site.version');
}

interface Pair {
  readonly merge: number;
  readonly plain: number;
}

try {
  const rates = new Map<string, Pair[]>();
  for (let round = 0; round <= Number(values.rounds); round += 1) {
    for (const logged of [false, true]) {
      await empty(replica);
      for (const what of ['into empty tables', 'over older rows']) {
        for (const type of TYPES) {
          const told = `round ${round}, ${what}`;
          const all = studioRows(studio).get(type);
          if (all === undefined) throw new Error(`no rows of ${type}`);
          const rows = [...pages(first(all(), rowCount), PAGE)].map((page) =>
            page.map((row) => ({ ...row, description: told, sg_description: told })),
          );
          const count = rows.flat().length;
          const merge = count / (await seconds(() => mergeAll(replica, type, rows, logged)));
          const upsert =
            count /
            (await seconds(async () => {
              for (const page of rows) await plainUpsert(plain, type, page);
            }));
          if (round === 0) continue;
          const key = `${type}, ${what}${logged ? ', logged' : ''}`;
          rates.set(key, [...(rates.get(key) ?? []), { merge, plain: upsert }]);
        }
      }
    }
  }
  print({
    title: `merge of fetched rows, ${rowCount} of a type in pages of ${PAGE}`,
    head: ['rows', 'plain upsert /s', 'merge /s', 'merge / plain', 'target'],
    rows: [...rates].map(([what, pairs]) => [
      what,
      median(pairs.map((pair) => pair.plain)).toFixed(0),
      median(pairs.map((pair) => pair.merge)).toFixed(0),
      median(pairs.map((pair) => pair.merge / pair.plain)).toFixed(2),
      '≥ 0.5',
    ]),
  });
} finally {
  await plain.end();
  await close();
  await site.stop();
  await databases.stop();
}
