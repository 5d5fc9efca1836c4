import { type EntityRef, type EntityRow, isEntityRef, refKey } from '@understudy/domain/entity';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { Queryable } from '@understudy/store/database';
import type { EntityTable } from '@understudy/store/entity-tables';
import { linksOf } from '@understudy/store/merge/fetched-links';
import { readKnownLinks } from '@understudy/store/merge/known-links';
import { lockRows } from '@understudy/store/merge/known-rows';
import type { RefreshRequest } from '@understudy/store/refresh-requests';

/** Rows as the site showed them in one answer. */
export interface Shown {
  /** Taken before the request was sent. */
  readonly tick: number;
  readonly rows: readonly { readonly row: EntityRow; readonly active: boolean }[];
}

/**
 * What else a fetch puts in doubt. A link that no event told of changed a list on its other side as well, without moving
 * that one's `updated_at` (protocol §6.4): no scan of a time would find it. So entities whose link to a row is not as
 * the replica knew it, and whose type has a list that may hold the row, must be fetched; and what links to a row that
 * was retired for the replica and is alive (protocol §3.4). To be asked before the rows are merged, in the same
 * transaction; locks them, in id order.
 */
export async function otherSides(
  tx: Queryable,
  schema: CachedSchema,
  table: EntityTable,
  shown: Shown,
): Promise<readonly RefreshRequest[]> {
  const linked: string[] = [];
  const lists: string[] = [];
  for (const [name, { kind }] of table.fields) {
    if (kind === 'link') linked.push(name);
    if (kind === 'links') lists.push(name);
  }
  const ids = shown.rows.map(({ row }) => row.id);
  if (ids.length === 0) return [];
  const known = await lockRows(tx, table, ids, ['_active', ...linked]);
  const knownLinks = await readKnownLinks(tx, table, lists, ids);
  const touched = new Map<string, EntityRef>();
  const revived: RefreshRequest[] = [];
  for (const { row, active } of shown.rows) {
    const ours = known.get(row.id);
    if (ours !== undefined && ours.fetchedTick >= shown.tick) continue;
    if (active && ours?.values.get('_active') === false)
      revived.push({ type: table.type, id: row.id, reason: 'revived', linkers: true });
    for (const name of linked) {
      const [before, now] = [ours?.values.get(name), row[name]].map((value) =>
        isEntityRef(value) ? value : null,
      );
      if ((before && refKey(before)) === (now && refKey(now))) continue;
      for (const ref of [before, now]) if (ref) touched.set(refKey(ref), ref);
    }
    for (const name of lists) {
      const before = new Map<string, EntityRef>();
      for (const [key, link] of knownLinks.get(name)?.get(row.id) ?? [])
        if (!link.removed) before.set(key, link.target);
      const now = new Map(linksOf(row[name]).map((ref) => [refKey(ref), ref]));
      for (const [key, ref] of now) if (!before.has(key)) touched.set(key, ref);
      for (const [key, ref] of before) if (!now.has(key)) touched.set(key, ref);
    }
  }
  const doubtful = [...touched.values()].filter(({ type }) => mayList(schema, type, table.type));
  return [...revived, ...doubtful.map(({ type, id }) => ({ type, id, reason: 'linked' }))];
}

/** Whether entities of a type have a list that may hold entities of another one. */
export function mayList(schema: CachedSchema, type: string, listed: string): boolean {
  for (const { dataType, validTypes } of schema.types.get(type)?.fields.values() ?? []) {
    const isList = dataType === 'multi_entity' || dataType === 'addressing';
    if (isList && validTypes.includes(listed)) return true;
  }
  return false;
}
