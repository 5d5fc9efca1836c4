import type { EntityLink, EntityRow, Json } from '@understudy/domain/entity';
import { isEntityRef } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { type LinkTarget, upsertLinkTargets } from '../link-targets.ts';
import { type Statement, statement } from '../statement.ts';
import { arrayParameter } from './array-parameter.ts';
import { literal, type ScalarField, scalarFields } from './columns.ts';
import { type FetchedLinks, mergeFetchedLinks } from './fetched-links.ts';
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
  const values: (Buffer | string | number | Date | null)[] = [tick, fetched.siteTime];
  if (origin.logged) values.push(origin.source, origin.user?.type ?? null, origin.user?.id ?? null);
  values.push(
    arrayParameter(
      rows.map(({ row }) => row.id),
      'bigint',
    ),
  );
  for (const field of scalarFields(table).values()) {
    const parsed =
      field.name === '_active'
        ? rows.map(({ active }): Json => active)
        : rows.map(({ row }) => field.parse(row[field.name]));
    for (const { sqlType, of } of field.columns) values.push(arrayParameter(parsed.map(of), sqlType));
  }
  const merging = tx.query<MergedRow>({ ...upsertStatement(table, origin.logged), values });
  // Names are gathered while PostgreSQL merges the rows.
  const naming = upsertLinkTargets(tx, targetsSeen(table, rows, tick), { certain: false });
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

const statements = new WeakMap<EntityTable, Map<boolean, Statement>>();

/**
 * The rows before the merge are read and locked by the statement itself (`known`), so that what it logs is what it
 * changed, whoever else writes at the same time. Full joins where inner ones would do: they are never made by nested
 * loops, which is what the planner would choose for a table that it believes to be empty. Parameters: tick, site time, for the log source and user, then arrays
 * of ids and of each column.
 */
function upsertStatement(table: EntityTable, logged: boolean): Statement {
  const ofTable = statements.get(table) ?? new Map<boolean, Statement>();
  statements.set(table, ofTable);
  const found = ofTable.get(logged);
  if (found !== undefined) return found;
  const fields = [...scalarFields(table).values()];
  const columns = fields.flatMap((field) =>
    field.columns.map((column) => ({ ...column, stamp: field.name })),
  );
  const names = columns.map((column) => column.name).join(', ');
  const first = logged ? 6 : 3;
  const arrays = [
    `$${first}::bigint[]`,
    ...columns.map(({ sqlType }, at) => `$${first + 1 + at}::${sqlType}[]`),
  ];
  const sets = columns.map(
    ({ name, stamp }) =>
      `${name} = case when t._stamps is null or coalesce((t._stamps->>${literal(stamp)})::bigint, 0) < $1
        then excluded.${name} else t.${name} end`,
  );
  const input = `input as (select * from unnest(${arrays.join(', ')}) as r(id, ${names}))`;
  const known = `known as materialized (
      select * from ${table.sqlName} where id = any($${first}::bigint[]) order by id for update)`;
  const source = logged
    ? `select i.id, ${columns.map(({ name }) => `i.${name}`).join(', ')}, $1::bigint, $2::timestamptz
        from input i full join known k on k.id = i.id
        where k.id is null or k._fetched_tick < $1 order by i.id`
    : `select i.*, $1::bigint, $2::timestamptz from input i order by i.id`;
  const upsert = `insert into ${table.sqlName} as t (id, ${names}, _fetched_tick, _site_time)
      ${source}
      on conflict (id) do update set ${sets.join(', ')},
        _stamps = case when t._stamps is null then null else (
          select jsonb_object_agg(key, value) from jsonb_each(t._stamps) where value::bigint > $1) end,
        _fetched_tick = $1, _site_time = greatest(t._site_time, excluded._site_time)
      where t._fetched_tick < $1
      returning t.*, t.xmax <> '0'::xid as _was_there`;
  const result = `select m.id, case when m._stamps is not null
      then (select array_agg(key) from jsonb_object_keys(m._stamps) key) end as later`;
  const log = logSteps(table, fields);
  const text = logged
    ? `with ${input}, ${known}, merged as (${upsert}), ${log.differing}, logged as (${log.insert})
      ${result}, k.id is null as appeared, k.id is null and m._was_there as raced
      from merged m full join known k on k.id = m.id where coalesce(m.id, 0) > 0`
    : `with ${input}, merged as (${upsert}) ${result}, false as appeared, false as raced from merged m`;
  const made = statement('merge', text);
  ofTable.set(logged, made);
  return made;
}

/** Leaves room for a suffix in a name that PostgreSQL cuts at 63 bytes. */
const NAME_MAX = 55;

/** A row that was not there is logged as one change of `_row`; of others each field that differs. */
function logSteps(
  table: EntityTable,
  fields: readonly ScalarField[],
): { readonly differing: string; readonly insert: string } {
  const columns = fields.flatMap((field) => field.columns.map(({ name }) => name));
  const both = columns.map((name) => `k.${name} as ${before(name)}, m.${name}`);
  const entry = `$1::bigint, ${literal(table.type)}, d.id`;
  const who = '$3::text, $4::text, $5::bigint';
  const changes = fields.map(
    (field) =>
      `select ${entry}, ${literal(field.name)}, ${field.wireSql('d', before)}, ${field.wireSql('d')}, ${who}
       from differing d where not d.appeared and (${field.differsSql('d', 'd', before)})`,
  );
  return {
    differing: `differing as materialized (
      select m.id, k.id is null as appeared, ${both.join(', ')} from merged m full join known k on k.id = m.id
      where coalesce(m.id, 0) > 0 and (k.id is null or ${fields.map((field) => field.differsSql('k', 'm')).join(' or ')}))`,
    insert: `insert into understudy.data_update
        (tick, entity_type, entity_id, field, old, new, source, user_type, user_id)
      ${changes.join(' union all ')}
      union all select ${entry}, '_row', null, 'true'::jsonb, ${who}
      from differing d where d.appeared`,
  };
}

/** Name of a column's value before the merge; quoted names stay quoted. */
function before(name: string): string {
  const bare = name.startsWith('"') ? name.slice(1, -1) : name;
  return `"${bare.slice(0, NAME_MAX)} before"`;
}

/** The links in a wire value; anything else in it is left out. */
export function linksOf(value: Json | undefined): readonly EntityLink[] {
  return Array.isArray(value) ? (value.filter(isEntityRef) as unknown as EntityLink[]) : [];
}

/** Names of everything the rows link to (they are alive, or they would not be shown), and of the rows themselves. */
export function targetsSeen(
  table: EntityTable,
  rows: FetchedRows['rows'],
  tick: number,
): readonly LinkTarget[] {
  const targets: LinkTarget[] = [];
  const see = ({ type, id, name }: EntityLink): void => {
    targets.push(
      name === undefined ? { type, id, active: true, tick } : { type, id, name, active: true, tick },
    );
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
      typeof name === 'string'
        ? { type, id: row.id, name, active, tick }
        : { type, id: row.id, active, tick },
    );
  }
  return targets;
}
