import type { EntityLink, EntityRow, Json } from '@understudy/domain/entity';
import { isEntityRef } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { recordNewTargets, recordSeenTargets, type SeenTarget } from '../link-targets.ts';
import { requestRefresh } from '../refresh-requests.ts';
import { sentTogether } from '../sent-together.ts';
import { arrayParameter } from './array-parameter.ts';
import { scalarFields } from './columns.ts';
import { type FetchedLinks, linksOf, mergeFetchedLinks } from './fetched-links.ts';
import {
  type FetchedColumn,
  type FetchedWork,
  fetchedColumn,
  fetchedStatement,
  partOf,
} from './fetched-statement.ts';
import { readKnownLinks } from './known-links.ts';
import { lockRows } from './known-rows.ts';
import { BUNDLED, type Origin, UNLOGGED } from './origin.ts';

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

/** What became of fetched rows. */
export interface MergedFetch {
  /** Ids of the rows that took it. */
  readonly taken: readonly number[];
  /** Ids of the rows that are still not known for certain, and are asked for again. */
  readonly doubtful: readonly number[];
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
const ACTIVE = '_active';

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
 * an event or write later than the fetch; a row that a later fetch has told of is left alone. The rows are locked in the
 * order of their ids, then there is one statement for those that are there, one for those that are not, one for each list
 * of links and one for display names, however many rows there are; the changes are logged in the same statements.
 *
 * A row that did not change is written all the same: its tick and the site's time are what keeps an older event or
 * fetch, told later, from setting it back.
 *
 * What tells of a row after the fetch may have happened before it: an event is polled later than it is made. Where that says
 * otherwise than the fetch, the row is asked for again, and so is one that is gone since.
 * @throws MergeRaced where somebody else makes one of the rows at the same time.
 */
export async function mergeFetched(
  tx: Queryable,
  table: EntityTable,
  fetched: FetchedRows,
): Promise<MergedFetch> {
  const { tick, siteTime } = fetched;
  const origin = fetched.origin ?? UNLOGGED;
  // An answer names every entity once; of one that appears twice the first is as good as the other.
  const unique = new Map(fetched.rows.map((one) => [one.row.id, one]));
  const rows = [...unique.values()].sort((a, b) => a.row.id - b.row.id);
  if (rows.length === 0) return { taken: [], doubtful: [] };
  const ids = rows.map(({ row }) => row.id);
  // Values are gathered while PostgreSQL locks the rows, names while it writes them.
  const [known, columns] = await sentTogether([lockRows(tx, table, ids, []), columnsOf(table, rows)]);
  const there: number[] = [];
  let absent: number[] = [];
  rows.forEach(({ row }, at) => {
    const ours = known.get(row.id);
    if (ours === undefined) absent.push(at);
    else if (ours.fetchedTick < tick) there.push(at);
  });
  const gone = await goneSince(
    tx,
    table,
    absent.map((at) => ids[at] ?? 0),
    tick,
  );
  absent = absent.filter((at) => !gone.has(ids[at] ?? 0));
  const writing = [
    writeRows(tx, table, 'change', { tick, siteTime, origin }, columns, there, {
      sqlType: 'tid',
      values: there.map((at) => known.get(ids[at] ?? 0)?.place ?? null),
    }),
    writeRows(tx, table, 'make', { tick, siteTime, origin }, columns, absent, {
      sqlType: 'bigint',
      values: absent.map((at) => ids[at] ?? null),
    }),
  ] as const;
  const taken = [...there, ...absent].sort((a, b) => a - b);
  const lists = listsOf(table);
  const takenIds = taken.map((at) => ids[at] ?? 0);
  const takenRows = taken.flatMap((at) => rows[at] ?? []);
  // Rows before names: the order of locks is the same for everybody.
  const [changed, , knownLinks] = await sentTogether([
    ...writing,
    readKnownLinks(tx, table, lists, takenIds),
    // Where rows are new, their names are.
    (absent.length > 0 ? recordNewTargets : recordSeenTargets)(tx, targetsSeen(table, rows, takenRows), tick),
  ]);
  const links = takenRows.map(
    ({ row }): FetchedLinks => ({
      row,
      later: changed.later.get(row.id) ?? NONE,
      appeared: !known.has(row.id),
    }),
  );
  const ofLists = { fields: lists, rows: links, known: knownLinks, tick };
  const linkedOtherwise = await mergeFetchedLinks(tx, table, ofLists, origin);
  const doubtful = [...new Set([...gone, ...changed.doubtful, ...linkedOtherwise])];
  await requestRefresh(
    tx,
    doubtful.map((id) => ({ type: table.type, id, reason: 'told of while it was fetched' })),
  );
  return { taken: takenIds, doubtful };
}

/**
 * Those of rows that are not there of which was heard after the fetch that they are alive no more. They may have been
 * removed since: an answer from before must not bring them back, and is no answer any more. Those of which it was heard
 * before are locked: whoever finds them gone once more waits until they are made, and finds them.
 */
async function goneSince(
  tx: Queryable,
  table: EntityTable,
  ids: readonly number[],
  tick: number,
): Promise<ReadonlySet<number>> {
  if (ids.length === 0) return new Set();
  const { rows } = await tx.query<{ id: string; gone_tick: string }>({
    name: 'gone-since',
    text: `select entity_id as id, _tick as gone_tick from understudy.link_target
      where entity_type = $1 and entity_id = any($2::bigint[]) and not active order by entity_id for no key update`,
    values: [table.type, arrayParameter(ids, 'bigint')],
  });
  return new Set(rows.flatMap((row) => (Number(row.gone_tick) > tick ? [Number(row.id)] : [])));
}

const NONE: readonly string[] = [];

interface Writing {
  /** The fields that something later than the fetch has told of, of rows that have any. */
  readonly later: ReadonlyMap<number, readonly string[]>;
  /** Ids of the rows of which that told otherwise. */
  readonly doubtful: readonly number[];
}
/** SQLSTATE of a second row with the same key. */
const UNIQUE_VIOLATION = '23505';

/**
 * Writes some of the fetched rows, which must be locked (`change`) or, as far as is known, not there (`make`).
 * @param some their places among the rows.
 * @param keys of them.
 * @throws MergeRaced where one is written by somebody else after all.
 */
async function writeRows(
  tx: Queryable,
  table: EntityTable,
  work: FetchedWork,
  { tick, siteTime, origin }: { readonly tick: number; readonly siteTime: Date; readonly origin: Origin },
  columns: readonly FetchedColumn[],
  some: readonly number[],
  keys: { readonly sqlType: string; readonly values: readonly Json[] },
): Promise<Writing> {
  if (some.length === 0) return { later: new Map(), doubtful: [] };
  const isAll = some.length === columns[0]?.values.length;
  const ofSome = isAll ? columns : columns.map((column) => partOf(column, some));
  const { source, user = null, bundled = BUNDLED } = origin;
  const how = origin.logged ? { bundled, isBundle: some.length >= bundled } : null;
  const { parameters, ...statement } = fetchedStatement(table, work, how, ofSome);
  const log = origin.logged ? [source, user?.type ?? null, user?.id ?? null] : [];
  const values = [tick, siteTime, ...log, arrayParameter(keys.values, keys.sqlType), ...parameters];
  const answer = await tx
    .query<{
      written: number;
      later: Readonly<Record<string, readonly string[]>> | null;
      doubtful: readonly number[] | null;
    }>({ ...statement, values })
    .catch((error: unknown) => {
      throw (error as { code?: string }).code === UNIQUE_VIOLATION ? new MergeRaced() : error;
    });
  const [row] = answer.rows;
  if ((row?.written ?? answer.rowCount) !== some.length) throw new MergeRaced();
  const later = new Map(Object.entries(row?.later ?? {}).map(([id, ofRow]) => [Number(id), ofRow]));
  return { later, doubtful: row?.doubtful ?? [] };
}

/** The values of rows, column by column, in one order. Rejects what is no value of its field: a statement is under way. */
async function columnsOf(table: EntityTable, rows: FetchedRows['rows']): Promise<readonly FetchedColumn[]> {
  return [...scalarFields(table).values()].flatMap((field) => {
    const { name, columns } = field;
    const wire = (one: FetchedRows['rows'][number]): Json | undefined =>
      name === ACTIVE ? one.active : one.row[name];
    const first = rows[0] === undefined ? undefined : wire(rows[0]);
    const isConstant = typeof first !== 'object' || first === null;
    const parsed =
      isConstant && rows.every((one) => wire(one) === first)
        ? new Array<Json>(rows.length).fill(field.parse(first))
        : rows.map((one) => field.parse(wire(one)));
    return columns.map(({ name: column, sqlType, of }) =>
      fetchedColumn({ name: column, sqlType, stamp: name }, parsed.map(of)),
    );
  });
}

function listsOf(table: EntityTable): readonly string[] {
  return [...table.fields].flatMap(([name, storage]) => (storage.kind === 'links' ? [name] : []));
}

/**
 * Names of everything the rows link to (they are alive, or they would not be shown), and of the rows themselves.
 * @param taken those that took the fetch: of others a later one has told, which is not known of what it only repeated.
 */
export function targetsSeen(
  table: EntityTable,
  rows: FetchedRows['rows'],
  taken: FetchedRows['rows'] = rows,
): readonly SeenTarget[] {
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
  for (const { row, active } of taken) {
    const name = row[DISPLAY_NAME];
    // Null is a name as well: of an entity whose name was cleared.
    const isTold = typeof name === 'string' || name === null;
    targets.push(isTold ? { type, id: row.id, name, active } : { type, id: row.id, active });
  }
  return targets;
}
