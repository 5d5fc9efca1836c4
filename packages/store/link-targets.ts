import type { Queryable } from './database.ts';
import { arrayParameter } from './merge/array-parameter.ts';
import { sentTogether } from './sent-together.ts';
import { fewStatements } from './statement.ts';

/** What is heard of an entity that others link to. An undefined `name` or `active` says nothing of it. */
export interface LinkTarget {
  readonly type: string;
  readonly id: number;
  readonly name?: string | null;
  readonly active?: boolean;
  readonly tick: number;
}

interface Heard {
  readonly type: string;
  readonly id: number;
  name: string | null | undefined;
  nameTick: number;
  active: boolean | undefined;
  activeTick: number;
}

/**
 * Records display names and whether targets are alive, each with the tick it was heard at; what is older than what is
 * known changes nothing. Set-based, in key order, so that concurrent callers do not lock each other out.
 * Each target is news (an event): its tick is kept even where it says what is known, so that nothing older is believed
 * later.
 */
export async function upsertLinkTargets(q: Queryable, targets: readonly LinkTarget[]): Promise<void> {
  const newest = new Map<string, Map<number, Heard>>();
  for (const { type, id, name, active, tick } of targets) {
    let ofType = newest.get(type);
    if (ofType === undefined) {
      ofType = new Map();
      newest.set(type, ofType);
    }
    const known = ofType.get(id);
    if (known === undefined) {
      const [nameTick, activeTick] = [name === undefined ? 0 : tick, active === undefined ? 0 : tick];
      ofType.set(id, { type, id, name, nameTick, active, activeTick });
      continue;
    }
    if (name !== undefined && tick >= known.nameTick) {
      known.name = name;
      known.nameTick = tick;
    }
    if (active !== undefined && tick >= known.activeTick) {
      known.active = active;
      known.activeTick = tick;
    }
  }
  if (newest.size === 0) return;
  const all = [...newest.values()].flatMap((ofType) => [...ofType.values()]);
  await q.query({
    name: 'upsert-link-targets',
    text: UPSERT,
    values: [
      arrayParameter(
        all.map((one) => one.type),
        'text',
      ),
      arrayParameter(
        all.map((one) => one.id),
        'bigint',
      ),
      arrayParameter(
        all.map((one) => one.name ?? null),
        'text',
      ),
      arrayParameter(
        all.map((one) => one.nameTick),
        'bigint',
      ),
      arrayParameter(
        all.map((one) => one.active ?? null),
        'boolean',
      ),
      arrayParameter(
        all.map((one) => one.activeTick),
        'bigint',
      ),
    ],
  });
}

/** Of columns entity_type, entity_id, name, active, name_tick, active_tick; a tick of 0 says nothing. */
const onConflict = (order: string): string => `order by ${order}
  on conflict (entity_type, entity_id) do update set
    name = case when t._name_tick < excluded._name_tick then excluded.name else t.name end,
    active = case when t._tick < excluded._tick then excluded.active else t.active end,
    _name_tick = greatest(t._name_tick, excluded._name_tick), _tick = greatest(t._tick, excluded._tick)
  where t._name_tick < excluded._name_tick or t._tick < excluded._tick`;
const INSERT = `insert into understudy.link_target as t (entity_type, entity_id, name, active, _name_tick, _tick)`;
// Of a target heard of for the first time without a word of its life, it is alive.
const UPSERT = `${INSERT}
  select h.entity_type, h.entity_id, h.name, coalesce(h.active, true), h.name_tick, h.active_tick
  from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::boolean[], $6::bigint[])
    as h(entity_type, entity_id, name, name_tick, active, active_tick)
  ${onConflict('h.entity_type collate "C", h.entity_id')}`;

/** What a fetch shows of an entity that is linked, or of a row itself. Without `name`, nothing is said of it. */
export interface SeenTarget {
  readonly type: string;
  readonly id: number;
  readonly name?: string | null;
  readonly active: boolean;
}

/** Targets of one type that are told of alike. */
interface Group {
  readonly type: string;
  readonly active: boolean;
  readonly isNamed: boolean;
  readonly ids: number[];
  readonly names: (string | null)[];
}

/**
 * Records what a fetch shows of link targets. Every fetch repeats it, and almost all of it is known: that is only looked
 * at, with one search of the index a type instead of one a target. Full joins that no condition turns into left ones:
 * these may be made by nested loops.
 * @param tick of the fetch. Of a target that is seen twice, the later one counts; a name that was told stays.
 */
export async function recordSeenTargets(
  q: Queryable,
  targets: readonly SeenTarget[],
  tick: number,
): Promise<void> {
  const groups = groupsOf(targets);
  if (groups.length > 0) await recordGroups(q, groups, tick);
}

async function recordGroups(q: Queryable, groups: readonly Group[], tick: number): Promise<void> {
  const { seen, values } = seenSql(groups, tick);
  const text = `${INSERT}
    select entity_type, id, name, active, name_tick, active_tick from (${seen}) seen
    ${onConflict('entity_type collate "C", id')}`;
  await q.query({ ...fewStatements(recordSeenTargets, 'seen-targets', text), values });
}

/** SQLSTATE of a second row with the same key. */
const UNIQUE_VIOLATION = '23505';

/**
 * The same within a transaction, where many of the targets are heard of for the first time: those are written without
 * asking whether somebody else writes them just now, which takes a third less. Where somebody does, all is done again
 * with asking.
 */
export async function recordNewTargets(
  tx: Queryable,
  targets: readonly SeenTarget[],
  tick: number,
): Promise<void> {
  const groups = groupsOf(targets);
  if (groups.length === 0) return;
  const { seen, values } = seenSql(groups, tick);
  const text = `with seen as materialized (${seen}), made as (
      ${INSERT} select entity_type, id, name, active, name_tick, active_tick from seen where not is_known
        order by entity_type collate "C", id)
    select exists (select from seen where is_known) as differs`;
  try {
    const [, { rows }] = await sentTogether([
      tx.query('savepoint new_targets'),
      tx.query<{ differs: boolean }>({ ...fewStatements(recordNewTargets, 'new-targets', text), values }),
      tx.query('release savepoint new_targets'),
    ]);
    if (rows[0]?.differs !== true) return;
  } catch (error) {
    if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
    await tx.query('rollback to savepoint new_targets');
  }
  await recordGroups(tx, groups, tick);
}

/** What a fetch shows and is not known yet: `is_known` where something else is known of the target. */
function seenSql(
  groups: readonly Group[],
  tick: number,
): { readonly seen: string; readonly values: (Buffer | string | number | boolean)[] } {
  const values: (Buffer | string | number | boolean)[] = [tick];
  const add = (value: Buffer | string | boolean): string => `$${values.push(value)}`;
  const selects = groups.map(({ type, active, isNamed, ids, names }) => {
    const [ofType, isActive] = [`${add(type)}::text`, `${add(active)}::boolean`];
    const given = `${add(arrayParameter(ids, 'bigint'))}::bigint[]`;
    const name = isNamed ? `unnest(${add(arrayParameter(names, 'text'))}::text[])` : 'null::text';
    return `select ${ofType} as entity_type, h.id, h.name, ${isActive} as active,
        ${isNamed ? '$1::bigint' : '0'} as name_tick, $1::bigint as active_tick, k.entity_id is not null as is_known
      from (select unnest(${given}) as id, ${name} as name) h
      full join (select entity_id, name, active, _name_tick, _tick from understudy.link_target
        where entity_type = ${ofType} and entity_id = any(${given})) k on k.entity_id = h.id
      where coalesce(h.id, 0) > 0 and (k.entity_id is null
        ${isNamed ? 'or (k._name_tick < $1::bigint and k.name is distinct from h.name)' : ''}
        or (k._tick < $1::bigint and k.active <> ${isActive}))`;
  });
  return { seen: selects.join(' union all '), values };
}

function groupsOf(targets: readonly SeenTarget[]): readonly Group[] {
  const newest = new Map<string, Map<number, SeenTarget>>();
  for (const target of targets) {
    let ofType = newest.get(target.type);
    if (ofType === undefined) {
      ofType = new Map();
      newest.set(target.type, ofType);
    }
    const known = ofType.get(target.id);
    const isRenamed = known?.name === undefined || target.name !== undefined;
    ofType.set(target.id, isRenamed ? target : { ...target, name: known.name });
  }
  const groups: Group[] = [];
  for (const [type, ofType] of newest) {
    const alike = new Map<string, Group>();
    for (const { id, name, active } of ofType.values()) {
      const key = `${active}|${name !== undefined}`;
      let group = alike.get(key);
      if (group === undefined) {
        group = { type, active, isNamed: name !== undefined, ids: [], names: [] };
        alike.set(key, group);
      }
      group.ids.push(id);
      group.names.push(name ?? null);
    }
    groups.push(...alike.values());
  }
  return groups;
}
