import type { EntityLink, EntityRow, Json } from '@understudy/domain/entity';
import { isEntityRef } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { recordSeenTargets, type SeenTarget } from '../link-targets.ts';
import { arrayParameter, valueParameter } from './array-parameter.ts';
import { scalarFields } from './columns.ts';
import { type FetchedLinks, mergeFetchedLinks } from './fetched-links.ts';
import { type Origin, UNLOGGED } from './origin.ts';
import { upsertStatement } from './upsert-statement.ts';

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

/** From so many rows on it is worth while to look for columns that have the same value in all of them. */
const MANY_ROWS = 32;
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
  const values: (Buffer | string | number | boolean | Date | null)[] = [tick, fetched.siteTime];
  if (origin.logged) values.push(origin.source, origin.user?.type ?? null, origin.user?.id ?? null);
  values.push(
    arrayParameter(
      rows.map(({ row }) => row.id),
      'bigint',
    ),
  );
  const given: { readonly sqlType: string; readonly values: readonly Json[] }[] = [];
  const isLong = rows.length >= MANY_ROWS;
  const constants: boolean[] = [];
  for (const field of scalarFields(table).values()) {
    const parsed =
      field.name === '_active'
        ? rows.map(({ active }): Json => active)
        : rows.map(({ row }) => field.parse(row[field.name]));
    for (const { sqlType, of } of field.columns) {
      const ofColumn = parsed.map(of);
      const [first = null] = ofColumn;
      constants.push(isLong && ofColumn.every((value) => value === first));
      given.push({ sqlType, values: ofColumn });
    }
  }
  const upsert = upsertStatement(table, origin.logged, constants);
  for (const [at, { sqlType, values: ofColumn }] of given.entries())
    values.push(
      upsert.constants[at] === true
        ? valueParameter(ofColumn[0] ?? null, sqlType)
        : arrayParameter(ofColumn, sqlType),
    );
  const merging = tx.query<MergedRow>({ ...upsert.statement, values });
  // Names are gathered while PostgreSQL merges the rows.
  const naming = recordSeenTargets(tx, targetsSeen(table, rows), tick);
  const [{ rows: accepted }] = await Promise.all([merging, naming]);
  if (accepted.some((row) => row.raced)) throw new MergeRaced();
  const taken = new Map(accepted.map((row) => [Number(row.id), row]));
  await mergeFetchedLinks(tx, table, linksOfTaken(table, rows, taken), tick, origin);
  return [...taken.keys()];
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
  /** It was not there when the statement began, and somebody else made it meanwhile: what it was is not known. */
  readonly raced: boolean;
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
