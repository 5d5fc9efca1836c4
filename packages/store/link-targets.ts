import type { Queryable } from './database.ts';

/** What is heard of an entity that others link to. An undefined `name` or `active` says nothing of it. */
export interface LinkTarget {
  readonly type: string;
  readonly id: number;
  readonly name?: string | null;
  readonly active?: boolean;
  readonly tick: number;
}

/**
 * Records display names and whether targets are alive; what is older than what is known changes nothing. Set-based, in
 * key order, so that concurrent callers do not lock each other out.
 */
export async function upsertLinkTargets(q: Queryable, targets: readonly LinkTarget[]): Promise<void> {
  const newest = new Map<string, LinkTarget>();
  for (const target of targets) {
    const key = `${target.type}:${target.id}`;
    const known = newest.get(key);
    if (known === undefined) newest.set(key, target);
    else newest.set(key, known.tick <= target.tick ? { ...known, ...target } : { ...target, ...known });
  }
  if (newest.size === 0) return;
  const all = [...newest.values()];
  // What says nothing of a column must not touch it: one statement for each combination.
  for (const named of [true, false]) {
    for (const judged of [true, false]) {
      const some = all.filter((t) => (t.name !== undefined) === named && (t.active !== undefined) === judged);
      if (some.length > 0) await upsert(q, some, named, judged);
    }
  }
}

async function upsert(
  q: Queryable,
  targets: readonly LinkTarget[],
  named: boolean,
  judged: boolean,
): Promise<void> {
  await q.query({
    name: `upsert-link-targets-${named}-${judged}`,
    text: `insert into understudy.link_target as t (entity_type, entity_id, name, active, _tick)
      select type, id, name, coalesce(active, true), tick
      from jsonb_to_recordset($1::jsonb) as r(type text, id bigint, name text, active boolean, tick bigint)
      order by type collate "C", id
      on conflict (entity_type, entity_id) do update set
        ${named ? 'name = excluded.name,' : ''} ${judged ? 'active = excluded.active,' : ''} _tick = excluded._tick
      where t._tick < excluded._tick
        ${named ? 'and (t.name is distinct from excluded.name' : 'and (false'}
        ${judged ? 'or t.active <> excluded.active)' : ')'}`,
    values: [JSON.stringify(targets)],
  });
}
