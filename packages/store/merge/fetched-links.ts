import { type EntityRef, refKey } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { readKnownLinks } from './known-links.ts';
import type { Origin } from './origin.ts';
import { type DataUpdate, logUpdates } from './update-log.ts';
import { type LinkWrite, writeLinks } from './write-links.ts';

/** A row that took a fetch: the links that it was fetched with, by multi-entity field. */
export interface FetchedLinks {
  readonly id: number;
  readonly links: ReadonlyMap<string, readonly EntityRef[]>;
  /** The row was not there before: the log tells of it as a whole, not of each link. */
  readonly appeared: boolean;
}

/**
 * Replaces the links of rows that took a fetch, but for those that an event or write later than the fetch has set or
 * removed. The rows are locked by the transaction already, so that what is read here stays as it is; links that are as
 * they were fetched are not written.
 * @param partialTick the fetch's tick where it told of some fields only: its links are stamped with it, and what it
 *   does not show leaves a tombstone.
 */
export async function mergeFetchedLinks(
  tx: Queryable,
  table: EntityTable,
  fetched: readonly FetchedLinks[],
  tick: number,
  origin: Origin,
  partialTick: number | null = null,
): Promise<void> {
  const fields = new Set(fetched.flatMap(({ links }) => [...links.keys()]));
  if (fields.size === 0) return;
  const ids = fetched.map(({ id }) => id);
  const known = await readKnownLinks(tx, table, [...fields], ids);
  const updates: DataUpdate[] = [];
  for (const field of fields) {
    const storage = table.fields.get(field);
    if (storage?.kind !== 'links') throw new Error(`${table.type}.${field} has no table of links`);
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
    for (const { id, links, appeared } of fetched) {
      const shown = links.get(field);
      if (shown === undefined) continue;
      const ofRow = known.get(field)?.get(id);
      const seen = new Set<string>();
      for (const target of shown) {
        const key = refKey(target);
        if (seen.has(key)) continue;
        seen.add(key);
        const link = ofRow?.get(key);
        if (link !== undefined && link.stamp >= tick) continue;
        const isThere = link !== undefined && !link.removed;
        if (!isThere && !appeared) log(id, target, true);
        if (!isThere || link.stamp !== 0 || partialTick !== null)
          writes.push({ id, target, state: 'there', tick: partialTick });
      }
      for (const [key, link] of ofRow ?? []) {
        if (seen.has(key) || link.stamp >= tick) continue;
        if (!link.removed) log(id, link.target, false);
        const state = partialTick === null ? 'gone' : 'removed';
        writes.push({ id, target: link.target, state, tick: partialTick });
      }
    }
    await writeLinks(tx, storage.table, writes);
  }
  await logUpdates(tx, updates);
}
