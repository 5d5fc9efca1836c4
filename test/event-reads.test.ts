import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { refreshDue } from '@understudy/applier/refresh';
import type { EntityRow } from '@understudy/domain/entity';
import { EVENT_LOG_ENTRY_FIELDS, type EventLogEntry } from '@understudy/domain/event';
import { until } from '@understudy/harness/until';
import { applyEvents } from '@understudy/pipeline/apply-events';
import { randomFrom } from '@understudy/sandbox-site/random';
import { parseSandboxYaml } from '@understudy/sandbox-site/sandbox-schema';
import { playOne } from '@understudy/sandbox-site/traffic/play';
import type { CachedSchema, CachedType } from '@understudy/schema/cached-schema';
import { eventLogType } from '@understudy/schema/event-log-type';
import { parseSiteSchema } from '@understudy/schema/site-schema';
import { heldFrom, storeEvents } from '@understudy/store/event-log';
import { nextTicks } from '@understudy/store/tick';
import { advancePolled, initWatermark } from '@understudy/store/watermark';
import fc from 'fast-check';
import { type Api, call, entitiesOf, readOf, SCRIPT, sandboxSchemaText, startApi } from './api-rig.ts';
import { answerOf, Shares } from './differential/compare.ts';
import { type Payload, randomFilter, randomPath } from './differential/random-read.ts';
import { type Studio, studioOf } from './differential/studio.ts';

const SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? Date.now() % 2 ** 31);
const RUNS = Math.min(Number(process.env['DIFFERENTIAL_RUNS'] ?? 300), 5_000);
const TYPE = 'EventLogEntry';
/** A type of the site that is in no cached schema. */
const NOT_KEPT = 'CustomEntity40';
const ALL = [...EVENT_LOG_ENTRY_FIELDS];
const random = randomFrom(SEED);

let api: Api;
/** No event up to this id of the site's log is held. */
let head = 0;

const newestFirst = { sorts: [{ field_name: 'id', direction: 'desc' }] };
const limit = (size: number): object => ({ paging: { entities_per_page: size, current_page: 1 } });

async function newestId(url: string): Promise<number> {
  const rows = entitiesOf(await call(url, 'read', readOf(TYPE, [], [], { ...newestFirst, ...limit(1) })));
  return rows[0]?.id ?? 0;
}

/** What the event-poller stores of everything above an id, and the applier makes of it if told so. */
async function follow(above: number, isApplied = true): Promise<void> {
  const { db, site } = api.replica;
  const entries: EventLogEntry[] = [];
  for await (const page of site.readAllById(
    { type: TYPE, fields: ALL, fromId: above + 1 },
    { priority: 'poll' },
  ))
    entries.push(...(page.results as unknown as EventLogEntry[]));
  const ticks = await nextTicks(db.pool, entries.length);
  await storeEvents(
    db.pool,
    entries.map((entry, index) => ({ entry, tick: ticks[index] ?? 0, late: false })),
  );
  await advancePolled(db.pool, entries.at(-1)?.id ?? above, new Date());
  if (isApplied)
    for (const type of (await applyEvents(api.replica, entries)).types)
      await refreshDue(api.replica, type, 500);
}

/** Asks both; they must agree. @returns who answered at the reader. */
async function agree(payload: object): Promise<string> {
  const [ours, theirs] = await Promise.all([
    call(api.readerUrl, 'read', payload),
    call(api.siteUrl, 'read', payload),
  ]);
  const source = String(ours.headers['x-understudy']);
  assert.deepEqual(answerOf(ours), answerOf(theirs), `${source}: ${JSON.stringify(payload)}`);
  return source;
}

before(async () => {
  const schema = `${await sandboxSchemaText()}
  ${NOT_KEPT}:
    code: text
`;
  api = await startApi({ schema: parseSandboxYaml(schema) });
  head = await newestId(api.siteUrl);
  await initWatermark(api.replica.db.pool, head);
  for (let n = 0; n < 300; n += 1) playOne(api.sandbox, random);
  // Of a type that is not kept; one is renamed, one retired.
  const made = await Promise.all(
    ['one', 'two', 'three'].map(async (name) => {
      const fields = [{ field_name: 'code', value: name }];
      return (await call(api.siteUrl, 'create', { type: NOT_KEPT, fields })).json
        .results as unknown as EntityRow;
    }),
  );
  assert.ok(
    made.every((row) => (row?.id ?? 0) > 0),
    'the type is there',
  );
  const [one, two] = made;
  await call(api.siteUrl, 'update', {
    type: NOT_KEPT,
    id: one?.id,
    fields: [{ field_name: 'code', value: 'renamed' }],
  });
  await call(api.siteUrl, 'delete', { type: NOT_KEPT, id: two?.id });
  await follow(head);
  // The site may never have filled the first ids after it; what lies below the first event that is held passes through.
  head = ((await heldFrom(api.replica.db.pool)) ?? 0) - 1;
  await until('the event log is served', async () =>
    (await agree(readOf(TYPE, ['event_type'], [['id', 'greater_than', head]]))).startsWith('replica'),
  );
});
after(() => api?.stop());

test('the event daemon reads from us: the newest id, then on from the last one', async () => {
  assert.equal(await agree(readOf(TYPE, ['id'], [], { ...newestFirst, ...limit(1) })), 'replica');
  for (let last = head; ; ) {
    const next = readOf(TYPE, ALL, [['id', 'greater_than', last]], {
      sorts: [{ field_name: 'id', direction: 'asc' }],
      ...limit(100),
    });
    assert.equal(await agree(next), 'replica');
    const rows = entitiesOf(await call(api.readerUrl, 'read', next));
    if (rows.length === 0) break;
    last = rows.at(-1)?.id ?? last;
  }
});

test('what may reach below the first event that is held passes through', async () => {
  const held = head + 1;
  for (const payload of [
    readOf(TYPE, ALL),
    readOf(TYPE, ALL, [['id', 'greater_than', held - 3]], limit(5)),
    readOf(TYPE, ALL, [['id', 'is', held - 1]]),
    readOf(TYPE, ALL, [['id', 'in', held - 1, held]]),
    readOf(TYPE, ALL, [['created_at', 'in_last', 1, 'HOUR']]),
    readOf(TYPE, ALL, [['event_type', 'is', 'Shotgun_Shot_New']], { ...newestFirst, ...limit(500) }),
    readOf(TYPE, ALL, [], { ...newestFirst, ...limit(5), return_paging_info: true }),
  ]) {
    assert.equal(await agree(payload), 'site; reason=event-not-held');
  }
  assert.equal(await agree(readOf(TYPE, ALL, [['id', 'in', held, held + 1]])), 'replica');
});

test('an event whose change is not applied yet, and those after it, are not shown before it is', async () => {
  const before = await newestId(api.readerUrl);
  await call(api.siteUrl, 'create', {
    type: 'Asset',
    fields: [
      { field_name: 'code', value: 'fresh' },
      { field_name: 'project', value: { type: 'Project', id: 1 } },
    ],
  });
  await follow(before, false);
  assert.equal(await newestId(api.readerUrl), before);
  await follow(before);
  assert.equal(await agree(readOf(TYPE, ALL, [['id', 'greater_than', before]])), 'replica');
});

test('links of events are resolved when they are read: gone with their target, and back with it', async () => {
  const before = await newestId(api.readerUrl);
  const [shot] = entitiesOf(await call(api.siteUrl, 'read', readOf('Shot', ['code'], [], limit(1))));
  const of = readOf(TYPE, ALL, [['id', 'greater_than', before]]);
  await call(api.siteUrl, 'update', {
    type: 'Shot',
    id: shot?.id,
    fields: [{ field_name: 'code', value: 'sh_now' }],
  });
  await follow(before);
  assert.equal(await agree(of), 'replica');
  for (const method of ['delete', 'revive']) {
    const last = await newestId(api.readerUrl);
    await call(api.siteUrl, method, { type: 'Shot', id: shot?.id });
    await follow(last);
    assert.equal(await agree(of), 'replica');
  }
});

test('an entry that is made through a reader is found at once', async () => {
  const before = await newestId(api.readerUrl);
  const name = 'Pipeline_Farm_Done';
  const payload = { type: TYPE, fields: [{ field_name: 'event_type', value: name }] };
  const made = await call(api.readerUrl, 'create', payload);
  const { id } = made.json.results as unknown as EntityRow;
  const reads = [
    readOf(TYPE, ALL, [['id', 'is', id]]),
    readOf(TYPE, ALL, [], { ...newestFirst, ...limit(1) }),
    readOf(TYPE, ALL, [['id', 'greater_than', before]]),
  ];
  for (const payload of reads) assert.equal(await agree(payload), 'site; reason=event-not-held');
  await follow(before);
  for (const payload of reads) assert.equal(await agree(payload), 'replica');
});

/** What the site changes in a row without an entry in its log (protocol §6.4); nobody scans here. */
const UNTOLD: ReadonlySet<string> = new Set(['updated_at', 'updated_by']);

const withoutUntold = (type: CachedType): CachedType => ({
  ...type,
  fields: new Map([...type.fields].filter(([name]) => !UNTOLD.has(name))),
});

async function eventStudio(): Promise<Studio> {
  const siteFields = parseSiteSchema((await call(api.siteUrl, 'schema_read')).json.results).get(TYPE);
  const type = eventLogType(siteFields ?? new Map());
  const studio = await studioOf(api.siteUrl, api.replica.schema);
  const rows = entitiesOf(
    await call(api.siteUrl, 'read', readOf(TYPE, ALL, [['id', 'greater_than', head]], newestFirst)),
  );
  const types: CachedSchema['types'] = new Map([
    ...[...studio.schema.types].map(([name, one]) => [name, withoutUntold(one)] as const),
    [
      TYPE,
      {
        ...type,
        fields: new Map(
          [...type.fields].map(([name, field]) => [
            name,
            name === 'entity' ? { ...field, validTypes: ['Shot', 'Task', 'Asset'] } : field,
          ]),
        ),
      },
    ],
  ]);
  return { ...studio, schema: { types }, active: new Map([...studio.active, [TYPE, rows]]) };
}

test(`${RUNS} random reads of the event log, seed ${SEED}`, async () => {
  const studio = await eventStudio();
  const rows = studio.active.get(TYPE) ?? [];
  const newest = rows[0]?.id ?? 0;
  const path = randomPath(studio, TYPE);
  const reads = fc.record({
    filter: randomFilter(studio, TYPE, rows),
    from: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: head, max: newest }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: head }) },
    ),
    bound: fc.constantFrom('greater_than', 'between', 'none'),
    fields: fc.array(path, { maxLength: 6 }),
    sorts: fc.constantFrom('id desc', 'id asc', 'created_at desc', 'event_type asc', 'entity desc'),
    size: fc.constantFrom(1, 10, 500),
    page: fc.constantFrom(1, 1, 2),
  });
  const shares = new Shares();
  await fc.assert(
    fc.asyncProperty(reads, async ({ filter, from, bound, fields, sorts, size, page }) => {
      const leaf =
        bound === 'between'
          ? { path: 'id', relation: bound, values: [from, newest] }
          : { path: 'id', relation: bound, values: [from] };
      const [name, direction] = sorts.split(' ');
      const payload: Payload = {
        ...readOf(TYPE, fields),
        filters: {
          logical_operator: 'and',
          conditions: bound === 'none' ? [filter] : [leaf, filter],
        },
        sorts: [{ field_name: name, direction }],
        paging: { entities_per_page: size, current_page: page },
      };
      const source = await agree(payload);
      const answer = await call(api.siteUrl, 'read', payload);
      shares.count(source, answer.json.exception !== true && entitiesOf(answer).length > 0);
    }),
    { numRuns: RUNS, seed: SEED },
  );
  shares.print('random reads of the event log');
});

test('what is attached to an entity shows in its list, and does not count as a change of it', async () => {
  const above = await newestId(api.siteUrl);
  // Which notes the traffic has left is the seed's to say.
  const [note] = entitiesOf(await call(api.siteUrl, 'read', readOf('Note', [], [], limit(1))));
  const form = new FormData();
  const upload = { ...SCRIPT, entity_type: 'Note', entity_id: String(note?.id), display_name: 'a.txt' };
  for (const [name, value] of Object.entries(upload)) form.append(name, value);
  form.append('file', new Blob(['text']), 'a.txt');
  const answer = await fetch(`${api.siteUrl}/upload/upload_file`, { method: 'POST', body: form });
  assert.match(await answer.text(), /^1/);
  await follow(above);
  await agree(readOf('Note', ['attachments', 'updated_at', 'updated_by'], [['id', 'is', note?.id]]));
});
