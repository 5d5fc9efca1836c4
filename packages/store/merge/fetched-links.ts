import {
  type EntityLink,
  type EntityRef,
  type EntityRow,
  isEntityRef,
  type Json,
  refKey,
} from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import type { KnownLinks } from './known-links.ts';
import type { Origin } from './origin.ts';
import { type DataUpdate, logUpdates } from './update-log.ts';
import { type LinkWrite, writeLinks } from './write-links.ts';

/** A row that took a fetch. */
export interface FetchedLinks {
  readonly row: EntityRow;
  /** Multi-entity fields that something later than the fetch has told all of. */
  readonly later: readonly string[];
  /** The row was not there before: the log tells of it as a whole, not of each link. */
  readonly appeared: boolean;
}

/** What a fetch tells of lists of links. */
export interface FetchedLists {
  /** Multi-entity fields that it tells of. */
  readonly fields: readonly string[];
  readonly rows: readonly FetchedLinks[];
  /** The links that there are of these fields and rows, read while the rows were locked. */
  readonly known: KnownLinks;
  readonly tick: number;
  /** It told of some fields only: its links are stamped with its tick, and what it does not show leaves a tombstone. */
  readonly isPartial?: boolean;
}

/**
 * Replaces the links of rows that took a fetch, but for those that an event or write later than the fetch has set or
 * removed. The rows are locked by the transaction already, so that what is known of them stays as it is; links that are as
 * they were fetched are not written.
 * @returns ids of rows of which something later than the fetch has told otherwise: it may have happened before all the same.
 */
export async function mergeFetchedLinks(
  tx: Queryable,
  table: EntityTable,
  { fields, rows, known, tick, isPartial = false }: FetchedLists,
  origin: Origin,
): Promise<readonly number[]> {
  const doubtful = new Set<number>();
  const updates: DataUpdate[] = [];
  const stamp = isPartial ? tick : null;
  for (const field of fields) {
    const storage = table.fields.get(field);
    if (storage?.kind !== 'links') throw new Error(`${table.type}.${field} has no table of links`);
    const ofField = known.get(field);
    const writes: LinkWrite[] = [];
    const log = (id: number, target: EntityRef, added: boolean): void => {
      if (!origin.logged) return;
      const ref = { type: target.type, id: target.id };
      const [before, after] = added ? [null, ref] : [ref, null];
      const { source, user = null } = origin;
      updates.push({
        type: table.type,
        id,
        field,
        old: before,
        new: after,
        tick,
        source,
        eventId: null,
        user,
      });
    };
    for (const { row, later, appeared } of rows) {
      const { id } = row;
      const shown = linksOf(row[field]);
      const ofRow = ofField?.get(id);
      // So it is in most lists of most rows.
      if (shown.length === 0 && ofRow === undefined) continue;
      if (later.includes(field)) continue;
      const seen = new Set<string>();
      for (const target of shown) {
        const key = refKey(target);
        if (seen.has(key)) continue;
        seen.add(key);
        const link = ofRow?.get(key);
        if (link !== undefined && link.stamp >= tick) {
          if (link.removed) doubtful.add(id);
          continue;
        }
        const isThere = link !== undefined && !link.removed;
        if (!isThere && !appeared) log(id, target, true);
        if (!isThere || link.stamp !== 0 || isPartial)
          writes.push({ id, target, state: 'there', tick: stamp, isKnown: link !== undefined });
      }
      for (const [key, link] of ofRow ?? []) {
        if (seen.has(key)) continue;
        if (link.stamp >= tick) {
          if (!link.removed) doubtful.add(id);
          continue;
        }
        if (!link.removed) log(id, link.target, false);
        const state = isPartial ? 'removed' : 'gone';
        writes.push({ id, target: link.target, state, tick: stamp, isKnown: true });
      }
    }
    await writeLinks(tx, storage.table, writes);
  }
  await logUpdates(tx, updates);
  return [...doubtful];
}

const NO_LINKS: readonly EntityLink[] = [];

/** The links in a wire value; anything else in it is left out. */
export function linksOf(value: Json | undefined): readonly EntityLink[] {
  if (!Array.isArray(value) || value.length === 0) return NO_LINKS;
  return value.filter(isEntityRef) as unknown as EntityLink[];
}
