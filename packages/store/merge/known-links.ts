import { type EntityRef, refKey } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { statement } from '../statement.ts';
import { arrayParameter } from './array-parameter.ts';

/** A link of a multi-entity field as the replica keeps it. */
export interface KnownLink {
  readonly target: EntityRef;
  /** A tombstone: the link was removed, and nothing older may bring it back. */
  readonly removed: boolean;
  /** Tick of the event or write that set it since the row's fetch; 0 if none did. */
  readonly stamp: number;
}

/** Field → row → key of the target → link. */
export type KnownLinks = ReadonlyMap<string, ReadonlyMap<number, ReadonlyMap<string, KnownLink>>>;

/** The links of some rows in some multi-entity fields of a type, tombstones among them, in one request. */
export async function readKnownLinks(
  tx: Queryable,
  table: EntityTable,
  fields: readonly string[],
  ids: readonly number[],
): Promise<KnownLinks> {
  const known = new Map<string, Map<number, Map<string, KnownLink>>>();
  const selects: string[] = [];
  for (const field of fields) {
    const storage = table.fields.get(field);
    if (storage?.kind !== 'links') continue;
    selects.push(`select ${selects.length} as field, entity_id, target_type, target_id, _removed, _tick
      from ${storage.table} where entity_id = any($1::bigint[])`);
    known.set(field, new Map());
  }
  if (selects.length === 0 || ids.length === 0) return known;
  const { rows } = await tx.query<[number, string, string, string, boolean, string | null]>({
    ...statement('known-links', selects.join(' union all ')),
    values: [arrayParameter(ids, 'bigint')],
    rowMode: 'array',
  } as never);
  const byField = [...known.values()];
  for (const [field, entityId, type, targetId, removed, tick] of rows) {
    const target = { type, id: Number(targetId) };
    const ofField = byField[field];
    const id = Number(entityId);
    const ofRow = ofField?.get(id);
    const link = { target, removed, stamp: tick === null ? 0 : Number(tick) };
    if (ofRow === undefined) ofField?.set(id, new Map([[refKey(target), link]]));
    else ofRow.set(refKey(target), link);
  }
  return known;
}
