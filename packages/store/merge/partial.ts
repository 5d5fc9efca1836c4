import type { EntityRow, Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { recordSeenTargets } from '../link-targets.ts';
import { arrayParameter } from './array-parameter.ts';
import { scalarFields } from './columns.ts';
import { targetsSeen } from './fetched.ts';
import { type FetchedLinks, mergeFetchedLinks } from './fetched-links.ts';
import { isSame } from './judge.ts';
import { readKnownLinks } from './known-links.ts';
import { lockRows } from './known-rows.ts';
import { type Origin, UNLOGGED } from './origin.ts';
import { type DataUpdate, logUpdates, ROW } from './update-log.ts';
import { type RowWrite, writeFields } from './write-fields.ts';

/** An answer of the site, or a file, about some fields of entities of one type. */
export interface PartialRows {
  /** Taken before the request was sent. */
  readonly tick: number;
  /** The site's clock when it answered. */
  readonly siteTime: Date;
  /** What the rows tell of, and whether they are alive; nothing is said of other fields. */
  readonly fields: readonly string[];
  readonly rows: readonly { readonly row: EntityRow; readonly active: boolean }[];
  readonly origin?: Origin;
  /** Whether rows that are not there are made, with their other fields empty, as rows that were never fetched. */
  readonly makeMissing?: boolean;
}

const ACTIVE = '_active';

/**
 * Merges a fetch of some fields only: each field is set unless something later has told of it or of the whole row, and
 * stamped with the fetch's tick, whether its value changed or not. A list of links is stamped as a whole, and what the
 * fetch did not show leaves a tombstone.
 * @returns ids of the rows that are not there, and of those of which an event or write has told otherwise, later than the
 *   fetch, but maybe of before it; they must be fetched.
 */
export async function mergePartial(
  tx: Queryable,
  table: EntityTable,
  fetched: PartialRows,
): Promise<readonly number[]> {
  const { tick } = fetched;
  const origin = fetched.origin ?? UNLOGGED;
  const unique = new Map(fetched.rows.map((one) => [one.row.id, one]));
  const rows = [...unique.values()].sort((a, b) => a.row.id - b.row.id);
  const ids = rows.map(({ row }) => row.id);
  if (ids.length === 0) return [];
  const updates: DataUpdate[] = [];
  const log = (id: number, field: string, old: Json, now: Json): void => {
    const { logged, source, user = null } = origin;
    if (logged)
      updates.push({ type: table.type, id, field, old, new: now, tick, source, eventId: null, user });
  };
  const made = fetched.makeMissing === true ? await makeRows(tx, table, rows) : new Set<number>();
  for (const id of made) log(id, ROW, null, true);
  const names = [ACTIVE, ...fetched.fields];
  const scalars = scalarFields(table);
  const lists = fetched.fields.filter((name) => table.fields.get(name)?.kind === 'links');
  const [known, knownLinks] = await Promise.all([
    lockRows(tx, table, ids, names),
    readKnownLinks(tx, table, lists, ids),
  ]);
  const writes = new Map<number, RowWrite>();
  const links: FetchedLinks[] = [];
  const missing: number[] = [];
  const doubtful = new Set<number>();
  for (const { row, active } of rows) {
    const ours = known.get(row.id);
    if (ours === undefined) {
      missing.push(row.id);
      continue;
    }
    const isOld = (field: string): boolean => tick <= Math.max(ours.fetchedTick, ours.stamps[field] ?? 0);
    const write: RowWrite = new Map();
    for (const name of names) {
      const field = scalars.get(name);
      if (field === undefined) continue;
      const value = field.canonical(name === ACTIVE ? active : row[name]);
      const before = ours.values.get(name) ?? null;
      if (isOld(name)) {
        if (ours.fetchedTick < tick && !isSame(before, value)) doubtful.add(row.id);
        continue;
      }
      write.set(name, { value, tick });
      if (!made.has(row.id) && !isSame(before, value)) log(row.id, name, before, value);
    }
    const later = lists.filter(isOld);
    for (const name of lists) if (!later.includes(name)) write.set(name, { value: null, tick });
    if (write.size > 0) writes.set(row.id, write);
    links.push({ row, later, appeared: made.has(row.id) });
  }
  await writeFields(tx, table, writes, known, fetched.siteTime);
  const ofLists = { fields: lists, rows: links, known: knownLinks, tick, isPartial: true };
  for (const id of await mergeFetchedLinks(tx, table, ofLists, origin)) doubtful.add(id);
  await logUpdates(tx, updates);
  const taken = rows.filter(({ row }) => (known.get(row.id)?.fetchedTick ?? 0) < tick);
  await recordSeenTargets(tx, targetsSeen(table, rows, taken), tick);
  return [...missing, ...doubtful];
}

/** Makes those of the rows that are not there, as rows that nothing was ever heard of. @returns their ids. */
async function makeRows(
  tx: Queryable,
  table: EntityTable,
  rows: PartialRows['rows'],
): Promise<ReadonlySet<number>> {
  const { rows: made } = await tx.query<{ id: string }>(
    `insert into ${table.sqlName} (id, _active, _fetched_tick)
     select id, active, 0 from unnest($1::bigint[], $2::boolean[]) as r(id, active) order by id
     on conflict (id) do nothing returning id`,
    [
      arrayParameter(
        rows.map(({ row }) => row.id),
        'bigint',
      ),
      arrayParameter(
        rows.map(({ active }) => active),
        'boolean',
      ),
    ],
  );
  return new Set(made.map(({ id }) => Number(id)));
}
