import { parseArgs } from 'node:util';
import type { Json } from '@understudy/domain/entity';
import type { EventLogEntry } from '@understudy/domain/event';
import { applyEvents } from '@understudy/pipeline/apply-events';
import { EVENTS_PER_JOB_MAX } from '@understudy/pipeline/enqueue';
import { entityTable } from '@understudy/store/entity-tables';
import { storeEvents } from '@understudy/store/event-log';
import { mergeFetched } from '@understudy/store/merge/fetched';
import { nextTick, nextTicks } from '@understudy/store/tick';
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
 * Stored events replayed through the applier in batches as large as its jobs are where many events wait, one after the
 * other, beside a plain upsert of as many rows in pages of 500.
 * Events as studios make them: mostly status changes, some texts and links, some people put on a Task and taken off.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    events: { type: 'string', default: '10000' },
  },
});
const eventCount = Number(values.events);
const TYPES = ['Shot', 'Task', 'Version'];
const ROWS = 10_000;
const studio = studioOf(1);
/** Rows were fetched before the first event happened, so that no event is in doubt. */
const FETCHED_AT = new Date('2026-06-01T10:00:00Z');
const FIRST_EVENT_MS = Date.UTC(2026, 5, 2);

interface Change {
  readonly type: string;
  readonly field: string;
  readonly dataType: string;
  readonly meta: Readonly<Record<string, Json>>;
}

const user = (id: number): { readonly type: string; readonly id: number; readonly name: string } => ({
  type: 'HumanUser',
  id,
  name: `User ${id}`,
});

/** What event number `i` of a round changes: of ten, six statuses, two texts, one list, one link; each round to other values. */
function changeOf(i: number, round: number): Change {
  const kind = i % 10;
  if (kind < 4)
    return {
      type: 'Task',
      field: 'sg_status_list',
      dataType: 'status_list',
      meta: { new_value: `s${(i + round) % 7}` },
    };
  if (kind < 6)
    return {
      type: 'Version',
      field: 'sg_status_list',
      dataType: 'status_list',
      meta: { new_value: `s${(i + round) % 7}` },
    };
  if (kind < 8)
    return {
      type: 'Shot',
      field: 'description',
      dataType: 'text',
      meta: { new_value: `told by event ${i} of round ${round}` },
    };
  if (kind === 8)
    return {
      type: 'Task',
      field: 'task_assignees',
      dataType: 'multi_entity',
      meta: { added: [user(((i + round) % 50) + 1)], removed: [user(((i + round - 1) % 50) + 1)] },
    };
  return {
    type: 'Version',
    field: 'user',
    dataType: 'entity',
    meta: { new_value: user(((i + round) % 50) + 1) },
  };
}

function eventOf(id: number, i: number, round: number): EventLogEntry {
  const { type, field, dataType, meta } = changeOf(i, round);
  const who = user(((i + round * 3) % 50) + 1);
  const entityId = ((i * 7_919) % ROWS) + 1;
  return {
    id,
    event_type: `Shotgun_${type}_Change`,
    attribute_name: field,
    entity: { type, id: entityId, name: null },
    project: { type: 'Project', id: 1, name: 'proj_1' },
    user: who,
    meta: {
      type: 'attribute_change',
      entity_type: type,
      entity_id: entityId,
      attribute_name: field,
      field_data_type: dataType,
      ...meta,
    },
    created_at: `${new Date(FIRST_EVENT_MS + id * 1_000).toISOString().slice(0, 19)}Z`,
    description: null,
    session_uuid: null,
  };
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

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
try {
  const { db, schema } = replica;
  for (const type of TYPES) {
    const cached = schema.types.get(type);
    if (cached === undefined) throw new Error(`${type} is not kept`);
    for (const page of pages(first(studioRows(studio).get(type)?.() ?? [], ROWS), PAGE)) {
      const tick = await nextTick(db.pool);
      const rows = page.map((row) => ({ row, active: true }));
      await db.transaction((tx) =>
        mergeFetched(tx, entityTable(cached), { tick, siteTime: FETCHED_AT, rows }),
      );
      await plainUpsert(plain, type, page);
    }
  }
  const tasks = [...pages(first(studioRows(studio).get('Task')?.() ?? [], eventCount), PAGE)];
  const pairs: { replay: number; plain: number }[] = [];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const entries = Array.from({ length: eventCount }, (_, i) =>
      eventOf(round * eventCount + i + 1, i, round),
    );
    const ticks = await nextTicks(db.pool, eventCount);
    const stored = entries.map((entry, i) => ({ entry, tick: ticks[i] ?? 0, late: false }));
    for (const page of pages(stored, PAGE)) await storeEvents(db.pool, page);
    const replayS = await seconds(async () => {
      for (const page of pages(stored, EVENTS_PER_JOB_MAX))
        await applyEvents(
          replica,
          page.map(({ entry }) => entry),
        );
    });
    const plainS = await seconds(async () => {
      for (const page of tasks) await plainUpsert(plain, 'Task', page);
    });
    pairs.push({ replay: eventCount / replayS, plain: tasks.flat().length / plainS });
  }
  const { rows: open } = await db.pool.query<{ count: string }>(
    'select count(*) as count from understudy.open_event',
  );
  const { rows: doubtful } = await db.pool.query<{ count: string }>(
    'select count(*) as count from understudy.refresh_request',
  );
  print({
    title: `replay of ${eventCount} stored events in batches of ${EVENTS_PER_JOB_MAX}`,
    head: ['plain upsert /s', 'replay /s', 'replay / plain', 'target'],
    rows: [
      [
        median(pairs.map((pair) => pair.plain)).toFixed(0),
        median(pairs.map((pair) => pair.replay)).toFixed(0),
        median(pairs.map((pair) => pair.replay / pair.plain)).toFixed(2),
        '≥ 0.4',
      ],
    ],
    notes: [`not applied: ${open[0]?.count}, entities that must be fetched after it: ${doubtful[0]?.count}`],
  });
} finally {
  await plain.end();
  await close();
  await site.stop();
  await databases.stop();
}
