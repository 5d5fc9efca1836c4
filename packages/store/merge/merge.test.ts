import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EntityRow } from '@understudy/domain/entity';
import { createTestDatabase } from '@understudy/harness/postgres';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import fc from 'fast-check';
import { type Database, openDatabase } from '../database.ts';
import { type EntityTable, entityTable } from '../entity-tables.ts';
import { type LinkTarget, upsertLinkTargets } from '../link-targets.ts';
import { migrate } from '../migrate.ts';
import { syncEntityTables } from '../sync-entity-tables.ts';
import { mergeChangesOfTypes, type RowChange } from './changes.ts';
import { mergeFetched } from './fetched.ts';
import { mergePartial } from './partial.ts';
import { removeVanished } from './vanished.ts';

/**
 * A site's history is told to the replica by fetches and events, stamped as the services stamp them. Whatever is told
 * in whatever order, in batches of any size, twice, and at the same time by several: once all of it has been told, the
 * row is as the site's, or the merge has said that it is in doubt. So is what is shown of it where it is linked.
 */
const SCHEMA = parseCachedSchema(`
types:
  Shot:
    code: text
    frames: number
    done: checkbox
    sequence: { entity: [Sequence] }
    tags: { multi_entity: [Tag] }
  Sequence: { code: text }
  Tag: { name: text }
`);
const CONNECTIONS = 4;
const PARTIAL = ['frames', 'sequence', 'tags'] as const;
const ORIGIN = { source: 'scan', logged: true } as const;

let db: Database;
let dropDatabase: () => Promise<void>;
let table: EntityTable;
before(async () => {
  const database = await createTestDatabase();
  dropDatabase = database.drop;
  const options = { url: database.url, poolSize: CONNECTIONS, applicationName: 'test' };
  db = await openDatabase(options);
  await migrate(db);
  await syncEntityTables(db, options, SCHEMA);
  const shot = SCHEMA.types.get('Shot');
  assert(shot);
  table = entityTable(shot);
});
after(async () => {
  await db?.close();
  await dropDatabase?.();
});

/** Ids of the two rows that every run is about. */
const IDS = [1, 2] as const;

interface ShotState {
  readonly code: string;
  readonly frames: number;
  readonly done: boolean;
  readonly sequence: number | null;
  readonly tags: readonly number[];
  readonly active: boolean;
}
const FIRST: ShotState = { code: 'a', frames: 0, done: false, sequence: null, tags: [], active: true };

type Edit =
  | { readonly kind: 'code'; readonly id: number; readonly value: string }
  | { readonly kind: 'frames'; readonly id: number; readonly value: number }
  | { readonly kind: 'done'; readonly id: number; readonly value: boolean }
  | { readonly kind: 'sequence'; readonly id: number; readonly value: number | null }
  | { readonly kind: 'tag'; readonly id: number; readonly value: number; readonly add: boolean }
  | { readonly kind: 'active'; readonly id: number; readonly value: boolean }
  /** For good, neither alive nor retired; no event tells of it. */
  | { readonly kind: 'gone'; readonly id: number };

const id = fc.constantFrom(...IDS);
const edit: fc.Arbitrary<Exclude<Edit, { kind: 'gone' }>> = fc.oneof(
  fc.record({ kind: fc.constant('code' as const), id, value: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fc.constant('frames' as const), id, value: fc.nat(3) }),
  fc.record({ kind: fc.constant('done' as const), id, value: fc.boolean() }),
  fc.record({ kind: fc.constant('sequence' as const), id, value: fc.constantFrom(null, 7, 8) }),
  fc.record({
    kind: fc.constant('tag' as const),
    id,
    value: fc.integer({ min: 1, max: 3 }),
    add: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('active' as const), id, value: fc.boolean() }),
);

/** What happens in one moment, in this order of kinds: a fetch takes its tick, is answered; an event is polled. */
type Moment =
  | { readonly kind: 'edit'; readonly edit: Edit; readonly isSilent: boolean }
  | { readonly kind: 'tick'; readonly fetch: number }
  | { readonly kind: 'answer'; readonly fetch: number; readonly partial: boolean }
  | { readonly kind: 'poll' };

const FETCHES = 3;
const moment: fc.Arbitrary<Moment> = fc.oneof(
  { weight: 5, arbitrary: edit.map((one) => ({ kind: 'edit' as const, edit: one, isSilent: false })) },
  // Without an event; and an entity may go.
  { weight: 1, arbitrary: edit.map((one) => ({ kind: 'edit' as const, edit: one, isSilent: true })) },
  {
    weight: 1,
    arbitrary: id.map((one) => ({
      kind: 'edit' as const,
      edit: { kind: 'gone' as const, id: one },
      isSilent: true,
    })),
  },
  { weight: 2, arbitrary: fc.nat(FETCHES - 1).map((fetch) => ({ kind: 'tick' as const, fetch })) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      fetch: fc.nat(FETCHES - 1),
      partial: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'poll' as const }) },
);

/** One thing that the replica is told. */
type Telling =
  | {
      readonly kind: 'fetched';
      readonly tick: number;
      readonly siteTime: Date;
      readonly states: readonly (ShotState | null)[];
    }
  | {
      /** Of some fields only. */
      readonly kind: 'partial';
      readonly tick: number;
      readonly siteTime: Date;
      readonly states: readonly (ShotState | null)[];
    }
  | { readonly kind: 'changes'; readonly changes: readonly RowChange[] };

function edited(state: ShotState | null, one: Edit): ShotState | null {
  if (state === null || one.kind === 'gone') return null;
  if (one.kind !== 'tag') return { ...state, [one.kind]: one.value };
  const others = state.tags.filter((tag) => tag !== one.value);
  return { ...state, tags: one.add ? [...others, one.value].sort() : others };
}

/** What an event tells of a row where it is linked. */
function targetOf(one: Exclude<Edit, { kind: 'gone' }>, tick: number): { readonly target?: LinkTarget } {
  const ref = { type: 'Shot', id: one.id, tick };
  if (one.kind === 'active') return { target: { ...ref, active: one.value } };
  return one.kind === 'code' ? { target: { ...ref, name: one.value } } : {};
}

function changeOf(one: Exclude<Edit, { kind: 'gone' }>): RowChange['change'] {
  switch (one.kind) {
    case 'active':
      return { kind: 'active', value: one.value };
    case 'sequence':
      return {
        kind: 'set',
        field: 'sequence',
        value: one.value === null ? null : { type: 'Sequence', id: one.value },
      };
    case 'tag': {
      const link = [{ type: 'Tag', id: one.value }];
      return { kind: 'links', field: 'tags', added: one.add ? link : [], removed: one.add ? [] : link };
    }
    default:
      return { kind: 'set', field: one.kind, value: one.value };
  }
}

/**
 * Lets a history happen. @returns its end, and what is told of it. Every event is polled in the end; what made none is found
 * by a last fetch.
 */
function happen(
  moments: readonly Moment[],
  perSecond: number,
): { readonly end: readonly (ShotState | null)[]; readonly told: readonly Telling[] } {
  let states: readonly (ShotState | null)[] = IDS.map(() => FIRST);
  let clock = 1;
  const told: Telling[] = [{ kind: 'fetched', tick: 1, siteTime: new Date(0), states }];
  const ticks = new Map<number, number>();
  let unpolled: { readonly edit: Exclude<Edit, { kind: 'gone' }>; readonly at: Date }[] = [];
  const nextTick = (): number => {
    clock += 1;
    return clock;
  };
  const isSilent = moments.some((one) => one.kind === 'edit' && one.isSilent);
  const lastFetch: readonly Moment[] = [
    { kind: 'tick', fetch: 0 },
    { kind: 'answer', fetch: 0, partial: false },
  ];
  const all = [...moments, ...(isSilent ? lastFetch : []), { kind: 'poll' as const }];
  for (const [index, one] of all.entries()) {
    // To the second, as the site tells time.
    const now = new Date(Math.floor(1 + index / perSecond) * 1_000);
    if (one.kind === 'edit') {
      const isThere = states[IDS.indexOf(one.edit.id as 1 | 2)] !== null;
      states = states.map((state, at) => (IDS[at] === one.edit.id ? edited(state, one.edit) : state));
      if (isThere && !one.isSilent && one.edit.kind !== 'gone') unpolled.push({ edit: one.edit, at: now });
    }
    if (one.kind === 'tick') ticks.set(one.fetch, nextTick());
    const tick = one.kind === 'answer' ? ticks.get(one.fetch) : undefined;
    if (tick !== undefined && one.kind === 'answer')
      told.push({ kind: one.partial ? 'partial' : 'fetched', tick, siteTime: now, states });
    if (one.kind === 'poll' && unpolled.length > 0) {
      const changes = unpolled.map((event): RowChange => {
        const tick = nextTick();
        const { edit: told, at: siteTime } = event;
        return { id: told.id, tick, siteTime, change: changeOf(told), ...targetOf(told, tick) };
      });
      told.push({ kind: 'changes', changes });
      unpolled = [];
    }
  }
  return { end: states, told };
}

function rowOf(state: ShotState, shot: number): EntityRow {
  return {
    type: 'Shot',
    id: shot,
    code: state.code,
    cached_display_name: state.code,
    frames: state.frames,
    done: state.done,
    sequence: state.sequence === null ? null : { type: 'Sequence', id: state.sequence, name: 's' },
    tags: state.tags.map((tag) => ({ type: 'Tag', id: tag, name: 't' })),
  };
}

/** Tells the replica one thing in one transaction. @returns rows in doubt or missing. */
async function tell(telling: Telling): Promise<readonly number[]> {
  return db.transaction(async (tx) => {
    if (telling.kind === 'changes') {
      const merged = await mergeChangesOfTypes(tx, [{ table, changes: telling.changes }], ORIGIN);
      await upsertLinkTargets(
        tx,
        merged.flatMap(({ targets }) => targets),
      );
      return merged.flatMap(({ doubtful, missing }) => [...doubtful, ...missing]);
    }
    const rows = telling.states.flatMap((state, at) =>
      state === null ? [] : { row: rowOf(state, IDS[at] ?? 0), active: state.active },
    );
    if (telling.kind === 'fetched') {
      const gone = IDS.filter((_, at) => telling.states[at] === null);
      const origin = { ...ORIGIN, bundled: 1 + (telling.tick % 3) };
      await mergeFetched(tx, table, { tick: telling.tick, siteTime: telling.siteTime, rows, origin });
      return removeVanished(tx, table, gone, telling.tick, origin);
    }
    const { tick, siteTime } = telling;
    return mergePartial(tx, table, { tick, siteTime, fields: PARTIAL, rows, origin: ORIGIN });
  });
}

async function held(): Promise<ReadonlyMap<number, ShotState>> {
  const { rows } = await db.pool.query<{
    id: string;
    code: string;
    frames: string;
    done: boolean;
    sequence__id: string | null;
    _active: boolean;
    tags: number[] | null;
  }>(
    `select s.*, (select array_agg(target_id::int order by target_id) from ${linksTable()} l where l.entity_id = s.id and not l._removed) as tags
     from ${table.sqlName} s`,
  );
  return new Map(
    rows.map((row) => [
      Number(row.id),
      {
        code: row.code,
        frames: Number(row.frames),
        done: row.done,
        sequence: row.sequence__id === null ? null : Number(row.sequence__id),
        tags: row.tags ?? [],
        active: row._active,
      },
    ]),
  );
}

function linksTable(): string {
  const tags = table.fields.get('tags');
  assert(tags?.kind === 'links');
  return tags.table;
}

/** Splits batches of changes, so that events of one poll may be told apart and in any order. */
function split(told: readonly Telling[], size: number): readonly Telling[] {
  return told.flatMap((telling): readonly Telling[] => {
    if (telling.kind !== 'changes') return [telling];
    return Array.from({ length: Math.ceil(telling.changes.length / size) }, (_, at) => ({
      kind: 'changes' as const,
      changes: telling.changes.slice(at * size, (at + 1) * size),
    }));
  });
}

const history = fc.record({
  moments: fc.array(moment, { maxLength: 14 }),
  perSecond: fc.constantFrom(1, 3, 100),
  batchSize: fc.integer({ min: 1, max: 4 }),
  /** Where each telling goes; those told twice are told again at the second place. */
  places: fc.array(fc.tuple(fc.nat(1_000), fc.option(fc.nat(1_000))), { minLength: 40, maxLength: 40 }),
});

async function check(
  { moments, perSecond, batchSize, places }: typeof history extends fc.Arbitrary<infer T> ? T : never,
  atOnce: number,
): Promise<void> {
  await db.pool.query(
    `truncate ${table.sqlName}, ${linksTable()}, understudy.link_target, understudy.data_update,
      understudy.refresh_request`,
  );
  const { end, told } = happen(moments, perSecond);
  const [first, ...rest] = split(told, batchSize);
  assert(first);
  const placed = [first, ...rest].flatMap((telling, at) => {
    const [anywhere, again] = places[at % places.length] ?? [0, null];
    // Of an entity that was never heard of nothing is kept once it is gone.
    const place = at === 0 && end.includes(null) ? -1 : anywhere;
    return [{ telling, place }, ...(again === null ? [] : [{ telling, place: again }])];
  });
  placed.sort((a, b) => a.place - b.place);
  const doubts = new Set<number>();
  for (let at = 0, count = 1; at < placed.length; at += count) {
    // The first one by itself where it has to be the first.
    count = at === 0 && end.includes(null) ? 1 : atOnce;
    const together = placed.slice(at, at + count).map(({ telling }) => tell(telling));
    for (const doubtful of await Promise.all(together)) for (const shot of doubtful) doubts.add(shot);
  }
  const { rows: asked } = await db.pool.query<{ id: number }>(
    'select entity_id::int as id from understudy.refresh_request',
  );
  for (const { id: shot } of asked) doubts.add(shot);
  const rows = await held();
  const { rows: targets } = await db.pool.query<{ id: number; name: string; active: boolean }>(
    `select entity_id::int as id, name, active from understudy.link_target where entity_type = 'Shot'`,
  );
  for (const [at, shot] of IDS.entries()) {
    if (doubts.has(shot)) continue;
    const site = end[at] ?? undefined;
    assert.deepEqual(rows.get(shot), site, `Shot ${shot}`);
    const shown = targets.find((target) => target.id === shot);
    assert.equal(shown?.active, site?.active === true, `whether Shot ${shot} is alive where it is linked`);
    if (site !== undefined)
      assert.equal(shown?.name, site.code, `the name of Shot ${shot} where it is linked`);
  }
  await assertLogTells(rows);
}

/**
 * The data-update log undone from its end: each entry must end where the next one of its value began, and before the
 * first one no row is there.
 */
async function assertLogTells(rows: ReadonlyMap<number, ShotState>): Promise<void> {
  const states = new Map<number, Record<string, unknown>>(
    [...rows].map(([shot, state]) => [shot, { ...state }]),
  );
  const { rows: log } = await db.pool.query<{ entity_id: string; field: string; old: unknown; new: unknown }>(
    'select entity_id, field, old, new from understudy.data_update_field order by seq desc, part desc',
  );
  for (const shot of IDS) {
    const { rows: ofShot } = await db.pool.query(
      'select entity_id, field, old, new from understudy.updates_of($1, $2) order by seq desc, part desc',
      [table.type, shot],
    );
    assert.deepEqual(
      ofShot,
      log.filter(({ entity_id }) => Number(entity_id) === shot),
    );
  }
  const linkId = (value: unknown): number | null => (value as { id: number } | null)?.id ?? null;
  for (const { entity_id, field, old, new: now } of log) {
    const shot = Number(entity_id);
    if (field === '_row' && now === null) {
      assert(!states.has(shot), `${shot} is not there once it is gone`);
      const { _active, sequence, tags, type: _type, id: _id, ...others } = old as Record<string, unknown>;
      const tagIds = (tags as { id: number }[]).map((tag) => tag.id);
      states.set(shot, { ...others, active: _active, sequence: linkId(sequence), tags: tagIds });
      continue;
    }
    const state = states.get(shot);
    assert(state, `nothing is told of ${shot} while it is not there`);
    if (field === '_row') states.delete(shot);
    else if (field === 'tags') {
      const tags = state['tags'] as number[];
      const [gone, come] = [linkId(old), linkId(now)];
      if (come !== null) assert(tags.includes(come), 'what came is there');
      if (gone !== null) assert(!tags.includes(gone), 'what went is not');
      const others = tags.filter((tag) => tag !== come);
      state['tags'] = gone === null ? others : [...others, gone];
    } else {
      const name = field === '_active' ? 'active' : field;
      const [before, after] = field === 'sequence' ? [linkId(old), linkId(now)] : [old, now];
      assert.deepEqual(state[name], after, `${field} ends where the next change begins`);
      assert.notDeepEqual(before, after, 'only what changes is logged');
      state[name] = before;
    }
  }
  assert.deepEqual([...states.keys()], []);
}

test('told in any order, in any batches, once or twice, rows end as the site has them or are in doubt', async () => {
  await fc.assert(
    fc.asyncProperty(history, (run) => check(run, 1)),
    { numRuns: 150 },
  );
});

test('told by several at the same time, the same', async () => {
  await fc.assert(
    fc.asyncProperty(history, (run) => check(run, CONNECTIONS)),
    { numRuns: 100 },
  );
});

test('a history told in its order leaves no doubt and no difference', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { maxLength: 12 }), async (edits) => {
      await db.pool.query(
        `truncate ${table.sqlName}, ${linksTable()}, understudy.link_target, understudy.data_update`,
      );
      // Seconds after the fetch: nothing can be contained in it already.
      const pause: Moment[] = [{ kind: 'poll' }, { kind: 'poll' }, { kind: 'poll' }];
      const { end, told } = happen(
        [
          ...pause,
          ...edits.flatMap((one): Moment[] => [
            { kind: 'edit', edit: one, isSilent: false },
            { kind: 'poll' },
          ]),
        ],
        1,
      );
      for (const telling of told) assert.deepEqual(await tell(telling), []);
      const rows = await held();
      for (const [at, shot] of IDS.entries()) assert.deepEqual(rows.get(shot), end[at]);
    }),
    { numRuns: 40 },
  );
});
