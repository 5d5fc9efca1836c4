import type { Queryable } from './database.ts';
import { arrayParameter } from './merge/array-parameter.ts';

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
 * @param certain whether each target is news (an event): its tick is kept even where it says what is known, so that
 *   nothing older is believed later. What every fetch repeats is not: almost all of it is known, and is only looked at.
 */
export async function upsertLinkTargets(
  q: Queryable,
  targets: readonly LinkTarget[],
  { certain = true }: { readonly certain?: boolean } = {},
): Promise<void> {
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
  const looked = certain
    ? []
    : [...newest].flatMap(([type, ofType]) => [type, arrayParameter([...ofType.keys()], 'bigint')]);
  await q.query({
    name: certain ? 'upsert-link-targets-certain' : `upsert-link-targets-${newest.size}`,
    text: certain ? UPSERT_CERTAIN : upsertDiffering(newest.size),
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
      ...looked,
    ],
  });
}

// A tick of 0 says nothing. Of a target heard of for the first time without a word of its life, it is alive.
const INSERT = `insert into understudy.link_target as t (entity_type, entity_id, name, active, _name_tick, _tick)
  select h.entity_type, h.entity_id, h.name, coalesce(h.active, true), h.name_tick, h.active_tick
  from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::boolean[], $6::bigint[])
    as h(entity_type, entity_id, name, name_tick, active, active_tick)`;
const ORDER = `order by h.entity_type collate "C", h.entity_id
  on conflict (entity_type, entity_id) do update set
    name = case when t._name_tick < excluded._name_tick then excluded.name else t.name end,
    active = case when t._tick < excluded._tick then excluded.active else t.active end,
    _name_tick = greatest(t._name_tick, excluded._name_tick), _tick = greatest(t._tick, excluded._tick)
  where t._name_tick < excluded._name_tick or t._tick < excluded._tick`;
const UPSERT_CERTAIN = `${INSERT} ${ORDER}`;

/**
 * The same for what is only looked up, of a number of types. One search of the index a type, instead of one a target,
 * takes less than half the time. Parameters: the arrays, then for each type its name and the ids.
 */
function upsertDiffering(types: number): string {
  const known = Array.from(
    { length: types },
    (_, at) => `select entity_type, entity_id, name, active, _name_tick, _tick from understudy.link_target
      where entity_type = $${7 + 2 * at}::text and entity_id = any($${8 + 2 * at}::bigint[])`,
  );
  return `with known as (${known.join(' union all ')})
    ${INSERT} full join known k on k.entity_type = h.entity_type and k.entity_id = h.entity_id
    where h.entity_id is not null and (k.entity_id is null
      or (k._name_tick < h.name_tick and k.name is distinct from h.name)
      or (k._tick < h.active_tick and k.active <> h.active))
    ${ORDER}`;
}
