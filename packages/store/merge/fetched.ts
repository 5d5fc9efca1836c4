import type { EntityLink, EntityRow, Json } from '@understudy/domain/entity';
import { isEntityRef } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { recordSeenTargets, type SeenTarget } from '../link-targets.ts';
import { arrayParameter } from './array-parameter.ts';
import { scalarFields } from './columns.ts';
import { type FetchedLinks, mergeFetchedLinks } from './fetched-links.ts';
import { type FetchedColumn, type FetchedWork, fetchedStatement } from './fetched-statement.ts';
import { type KnownRow, lockRows } from './known-rows.ts';
import { type Origin, UNLOGGED } from './origin.ts';

/** One answer of the site about entities of one type: every cached field of every row. */
export interface FetchedRows {
  /** Taken before the request was sent. */
  readonly tick: number;
  /** The site's clock when it answered. */
  readonly siteTime: Date;
  readonly rows: readonly { readonly row: EntityRow; readonly active: boolean }[];
  /** What the data-update log says of it; nothing is logged unless it is given. */
  readonly origin?: Origin;
}

/**
 * Somebody else made a row while it was merged. The transaction must be done again; `Database.transaction` does so.
 */
export class MergeRaced extends Error {
  override readonly name = 'MergeRaced';
  /** SQLSTATE of a serialization failure. */
  readonly code = '40001';

  constructor() {
    super('a row was made by somebody else while it was merged');
  }
}

const DISPLAY_NAME = 'cached_display_name';

/** Fields that a fetch must show, so that its rows are complete. */
export function fetchedFields(table: EntityTable): readonly string[] {
  return [...table.fields].filter(([, storage]) => storage.kind !== 'none').map(([name]) => name);
}

/**
 * Fields that a fetch of whole rows asks for: the display name as well where it is not kept, for the links that lead to
 * the rows. A site whose type has no such field leaves it out (protocol §3.4).
 */
export function requestedFields(table: EntityTable): readonly string[] {
  const fields = fetchedFields(table);
  return fields.includes(DISPLAY_NAME) ? fields : [...fields, DISPLAY_NAME];
}

/**
 * Merges rows that were fetched (design: one merge). A fetched value replaces a field unless the field was changed by
 * an event or write later than the fetch; a row that a later fetch has told of is left alone. One statement for the
 * rows, one for each list of links and one for display names, however many rows there are; the changes are logged in
 * the same statements.
 *
 * A row that did not change is written all the same: its tick and the site's time are what keeps an older event or
 * fetch, told later, from setting it back.
 * @returns ids of the rows that took the fetch.
 */
export async function mergeFetched(
  tx: Queryable,
  table: EntityTable,
  fetched: FetchedRows,
): Promise<readonly number[]> {
  const { tick } = fetched;
  const origin = fetched.origin ?? UNLOGGED;
  // An answer names every entity once; of one that appears twice the first is as good as the other.
  const unique = new Map(fetched.rows.map((one) => [one.row.id, one]));
  const rows = [...unique.values()].sort((a, b) => a.row.id - b.row.id);
  if (rows.length === 0) return [];
  const merging = origin.logged
    ? mergeLogged(tx, table, { ...fetched, rows }, origin, await lockRows(tx, table, idsOf(rows), []))
    : mergeUnlogged(tx, table, { ...fetched, rows });
  // Rows before names: the order of locks is the same for everybody. Names are gathered while PostgreSQL merges the rows.
  const naming = recordSeenTargets(tx, targetsSeen(table, rows), tick);
  const [accepted] = await Promise.all([merging, naming]);
  const taken = new Map(accepted.map((row) => [Number(row.id), row]));
  await mergeFetchedLinks(tx, table, linksOfTaken(table, rows, taken), tick, origin);
  return [...taken.keys()];
}

async function mergeUnlogged(
  tx: Queryable,
  table: EntityTable,
  { tick, siteTime, rows }: FetchedRows,
): Promise<readonly MergedRow[]> {
  const { parameters, ...statement } = fetchedStatement(table, 'merge', columnsOf(table, rows));
  const values = [tick, siteTime, arrayParameter(idsOf(rows), 'bigint'), ...parameters];
  return (await tx.query<MergedRow>({ ...statement, values })).rows;
}

/**
 * The same, and logs what it changes. All it does is sent at once.
 * @param known those of the rows that are there, locked, so that what they were is known, whoever else writes to them.
 * @throws MergeRaced where somebody else makes a row at the same time.
 */
async function mergeLogged(
  tx: Queryable,
  table: EntityTable,
  { tick, siteTime, rows }: FetchedRows,
  { source, user = null }: Origin,
  known: ReadonlyMap<number, KnownRow>,
): Promise<readonly MergedRow[]> {
  const values = [tick, siteTime, source, user?.type ?? null, user?.id ?? null];
  const there = rows.filter(({ row }) => (known.get(row.id)?.fetchedTick ?? tick) < tick);
  const absent = rows.filter(({ row }) => !known.has(row.id));
  const write = async (
    work: FetchedWork,
    some: FetchedRows['rows'],
    keys: Buffer | string,
  ): Promise<readonly MergedRow[]> => {
    if (some.length === 0) return [];
    const { parameters, ...statement } = fetchedStatement(table, work, columnsOf(table, some));
    const { rows: written } = await tx.query<MergedRow>({
      ...statement,
      values: [...values, keys, ...parameters],
    });
    if (written.length < some.length) throw new MergeRaced();
    return written;
  };
  const places = there.map(({ row }) => known.get(row.id)?.place ?? null);
  const [changed, made] = await Promise.all([
    write('change', there, arrayParameter(places, 'tid')),
    write('make', absent, arrayParameter(idsOf(absent), 'bigint')),
  ]);
  return [...changed, ...made];
}

const idsOf = (rows: FetchedRows['rows']): readonly number[] => rows.map(({ row }) => row.id);

/** The values of rows, column by column, in one order. */
function columnsOf(table: EntityTable, rows: FetchedRows['rows']): readonly FetchedColumn[] {
  return [...scalarFields(table).values()].flatMap((field) => {
    const parsed =
      field.name === '_active'
        ? rows.map(({ active }): Json => active)
        : rows.map(({ row }) => field.parse(row[field.name]));
    return field.columns.map(({ name, sqlType, of }) => ({
      name,
      sqlType,
      stamp: field.name,
      values: parsed.map(of),
    }));
  });
}

/** The links of the rows that took the fetch, without lists that something later has told all of. */
function linksOfTaken(
  table: EntityTable,
  rows: FetchedRows['rows'],
  taken: ReadonlyMap<number, MergedRow>,
): readonly FetchedLinks[] {
  const fields = [...table.fields].flatMap(([name, storage]) => (storage.kind === 'links' ? [name] : []));
  if (fields.length === 0) return [];
  return rows.flatMap(({ row }) => {
    const merged = taken.get(row.id);
    if (merged === undefined) return [];
    const { later } = merged;
    const ofRow = later === null ? fields : fields.filter((name) => !later.includes(name));
    const links = new Map(ofRow.map((name) => [name, linksOf(row[name])]));
    return [{ id: row.id, links, appeared: merged.appeared }];
  });
}

/** A row that took the fetch. */
interface MergedRow {
  readonly id: string;
  /** Fields that something later than the fetch has told of. */
  readonly later: readonly string[] | null;
  /** It was not there before; only known where the log is on. */
  readonly appeared: boolean;
}

/** The links in a wire value; anything else in it is left out. */
export function linksOf(value: Json | undefined): readonly EntityLink[] {
  return Array.isArray(value) ? (value.filter(isEntityRef) as unknown as EntityLink[]) : [];
}

/** Names of everything the rows link to (they are alive, or they would not be shown), and of the rows themselves. */
export function targetsSeen(table: EntityTable, rows: FetchedRows['rows']): readonly SeenTarget[] {
  const targets: SeenTarget[] = [];
  const see = ({ type, id, name }: EntityLink): void => {
    targets.push(name === undefined ? { type, id, active: true } : { type, id, name, active: true });
  };
  for (const [field, storage] of table.fields) {
    if (storage.kind === 'link') {
      for (const { row } of rows) {
        const value = row[field];
        if (isEntityRef(value)) see(value as unknown as EntityLink);
      }
    }
    if (storage.kind === 'links')
      for (const { row } of rows) for (const link of linksOf(row[field])) see(link);
  }
  const { type } = table;
  for (const { row, active } of rows) {
    const name = row[DISPLAY_NAME];
    targets.push(
      typeof name === 'string' ? { type, id: row.id, name, active } : { type, id: row.id, active },
    );
  }
  return targets;
}
