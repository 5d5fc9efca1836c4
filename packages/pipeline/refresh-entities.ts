import type { EntityRow } from '@understudy/domain/entity';
import type { Priority } from '@understudy/site-client/budget';
import { and, leaf } from '@understudy/site-client/filters';
import { type EntityTable, entityTable } from '@understudy/store/entity-tables';
import { mergeFetched, requestedFields } from '@understudy/store/merge/fetched';
import type { Source } from '@understudy/store/merge/origin';
import { removeVanished } from '@understudy/store/merge/vanished';
import {
  completeRefresh,
  type FetchedLinkers,
  type RefreshRequest,
  requestRefresh,
} from '@understudy/store/refresh-requests';
import { nextTick } from '@understudy/store/tick';
import { otherSides } from './other-sides.ts';
import { onReplica, originOf, type Replica } from './replica.ts';

/** An entity that a fetch puts in doubt; it is asked for as well. */
export interface InDoubt extends RefreshRequest {
  /** It was fetched, and is not known for certain all the same: something was told of it meanwhile. */
  readonly again?: boolean;
}

/**
 * Fetches entities of one type, alive or retired, and merges them; those the site has neither way are removed.
 * @param source what the data-update log says of it.
 * @param linkers what was fetched before of what links to them.
 * @returns entities that this puts in doubt (`otherSides`), or leaves there.
 */
export function refreshEntities(
  replica: Replica,
  type: string,
  ids: readonly number[],
  priority: Priority,
  source: Source = 'refresh',
  linkers: FetchedLinkers | null = null,
): Promise<readonly InDoubt[]> {
  return onReplica(replica, (current) => refreshOnce(current, type, ids, priority, source, linkers));
}

async function refreshOnce(
  replica: Replica,
  type: string,
  ids: readonly number[],
  priority: Priority,
  source: Source,
  linkers: FetchedLinkers | null,
): Promise<readonly InDoubt[]> {
  const origin = originOf(replica, source);
  const cached = replica.schema.types.get(type);
  if (cached === undefined || ids.length === 0) return [];
  const table = entityTable(cached);
  const tick = await nextTick(replica.db.pool);
  const active = await fetchIds(replica, table, ids, 'active', priority);
  const found = new Set(active.rows.map((row) => row.id));
  const rest = ids.filter((id) => !found.has(id));
  const retired = rest.length === 0 ? null : await fetchIds(replica, table, rest, 'retired', priority);
  for (const row of retired?.rows ?? []) found.add(row.id);
  // Retired between the two requests, or revived: neither reply had it, and it is asked for again later.
  const vanished = ids.filter((id) => !found.has(id));
  // Of the last answer: an event from before it may be contained in what it showed.
  const siteTime = retired?.siteTime ?? active.siteTime;
  return replica.db.transaction(async (tx) => {
    const rows = [
      ...active.rows.map((row) => ({ row, active: true })),
      ...(retired?.rows ?? []).map((row) => ({ row, active: false })),
    ];
    const doubtful = await otherSides(tx, replica.schema, table, { tick, rows });
    const merged = await mergeFetched(tx, table, { tick, siteTime, rows, origin });
    const told = await removeVanished(tx, table, vanished, tick, origin);
    await completeRefresh(tx, type, ids, tick, linkers);
    const asked = (id: number): RefreshRequest => ({ type, id, reason: 'told of meanwhile' });
    // The merge has asked for its own.
    await requestRefresh(tx, [...doubtful, ...told.map(asked)]);
    return [...doubtful, ...[...merged.doubtful, ...told].map((id) => ({ ...asked(id), again: true }))];
  });
}

async function fetchIds(
  replica: Replica,
  table: EntityTable,
  ids: readonly number[],
  returnOnly: 'active' | 'retired',
  priority: Priority,
): Promise<{ readonly rows: readonly EntityRow[]; readonly siteTime: Date }> {
  const rows: EntityRow[] = [];
  let rest = ids;
  for (;;) {
    const { results, siteTime, hasNextPage } = await replica.site.read(
      {
        type: table.type,
        fields: requestedFields(table),
        filters: and(leaf('id', 'in', ...rest)),
        returnOnly,
        pageSize: rest.length,
      },
      { priority },
    );
    rows.push(...results);
    const found = new Set(results.map((row) => row.id));
    rest = rest.filter((id) => !found.has(id));
    // The site may give fewer rows in a page than were asked for; those that it left out are still there.
    if (rest.length === 0 || found.size === 0 || !hasNextPage) return { rows, siteTime };
  }
}

/**
 * Fetches everything that links to entities that were revived: while a target is retired the site does not show the
 * link, so a row fetched in that time lacks it, and no event tells that it is back (protocol §3.4).
 * @returns what `refreshEntities` is to be told, which ends the request.
 */
export async function refreshLinkers(
  replica: Replica,
  type: string,
  ids: readonly number[],
  priority: Priority,
): Promise<FetchedLinkers> {
  const tick = await nextTick(replica.db.pool);
  await onReplica(replica, (current) => refreshLinkersOnce(current, type, ids, priority));
  return { ids, tick };
}

async function refreshLinkersOnce(
  replica: Replica,
  type: string,
  ids: readonly number[],
  priority: Priority,
): Promise<void> {
  const origin = originOf(replica, 'refresh');
  for (const linking of replica.schema.types.values()) {
    const table = entityTable(linking);
    for (const [name, storage] of table.fields) {
      if (storage.kind !== 'link' && storage.kind !== 'links') continue;
      if (!storage.field.validTypes.includes(type)) continue;
      const filters = and(leaf(name, 'in', ...ids.map((id) => ({ type, id }))));
      for (const returnOnly of ['active', 'retired'] as const) {
        let tick = await nextTick(replica.db.pool);
        const pages = replica.site.readAllById(
          { type: linking.name, fields: requestedFields(table), filters, returnOnly },
          { priority },
        );
        for await (const page of pages) {
          const rows = page.results.map((row) => ({ row, active: returnOnly === 'active' }));
          await replica.db.transaction((tx) =>
            mergeFetched(tx, table, { tick, siteTime: page.siteTime, rows, origin }),
          );
          tick = await nextTick(replica.db.pool);
        }
      }
    }
  }
}
