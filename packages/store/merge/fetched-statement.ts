import type { Json } from '@understudy/domain/entity';
import type { EntityTable } from '../entity-tables.ts';
import { type Statement, statement } from '../statement.ts';
import { arrayParameter, valueParameter } from './array-parameter.ts';
import { literal, type ScalarField, scalarFields } from './columns.ts';

/** The values that rows were fetched with in one column, in the order of the rows. */
export interface FetchedColumn {
  readonly name: string;
  readonly sqlType: string;
  /** Its field: what its stamp is called. */
  readonly stamp: string;
  readonly values: readonly Json[];
}

/** What becomes of fetched rows: `merge` where nothing is logged, else one of two for rows that are there and that are not. */
export type FetchedWork = 'merge' | 'change' | 'make';

type Parameter = Buffer | string | number | boolean | null;

/** A statement for rows of which some columns have the same value in all. */
interface Prepared {
  readonly statement: Statement;
  /** Of each column, whether its parameter is one value that all rows have; else it is an array. */
  readonly constants: readonly boolean[];
}

/** Prepared statements of a type for one kind of work: one for each set of constant columns, and no more than these. */
const KEPT = 16;
/** From so many rows on it is worth while to look for columns that have the same value in all of them. */
const MANY_ROWS = 32;

const kept = new WeakMap<EntityTable, Map<FetchedWork, Prepared[]>>();

/**
 * The statement for fetched rows, and its last parameters. Most rows of a page share their project, and many columns are
 * empty: an array of each would cost about as much as writing the rows. Once there are many statements, one is taken that
 * knows of some of the constant columns only.
 *
 * Its first parameters are the tick and the site's time; where it is logged the log's source, type and id of the user;
 * then one array: ids of rows to `merge` or `make`, places of rows to `change`.
 */
export function fetchedStatement(
  table: EntityTable,
  work: FetchedWork,
  columns: readonly FetchedColumn[],
): Statement & { readonly parameters: readonly Parameter[] } {
  const constants = columns.map(({ values }) => {
    const [first = null] = values;
    return values.length >= MANY_ROWS && values.every((value) => value === first);
  });
  const { statement: made, constants: taken } = prepared(table, work, columns, constants);
  const parameters = columns.map(({ values, sqlType }, at) =>
    taken[at] === true ? valueParameter(values[0] ?? null, sqlType) : arrayParameter(values, sqlType),
  );
  return { ...made, parameters };
}

function prepared(
  table: EntityTable,
  work: FetchedWork,
  columns: readonly FetchedColumn[],
  constants: readonly boolean[],
): Prepared {
  const ofTable = kept.get(table) ?? new Map<FetchedWork, Prepared[]>();
  kept.set(table, ofTable);
  const known = ofTable.get(work) ?? [];
  ofTable.set(work, known);
  const fitting = known
    .filter((one) => one.constants.every((isConstant, at) => !isConstant || constants[at] === true))
    .toSorted((a, b) => countOf(b.constants) - countOf(a.constants))[0];
  if (fitting !== undefined && (known.length >= KEPT || countOf(fitting.constants) === countOf(constants)))
    return fitting;
  // The last one fits whatever comes.
  const taken = known.length >= KEPT - 1 ? constants.map(() => false) : constants;
  const made = {
    statement: statement(`fetched-${work}`, TEXTS[work](table, columns, taken)),
    constants: taken,
  };
  known.push(made);
  return made;
}

const countOf = (constants: readonly boolean[]): number => constants.filter(Boolean).length;

/**
 * Rows as they were fetched. Arrays are unnested side by side in the list of columns: as a function's rows, each would be
 * stored once more.
 */
function inputSql(
  first: number,
  key: string,
  columns: readonly FetchedColumn[],
  constants: readonly boolean[],
): string {
  const values = columns.map(({ name, sqlType }, at) => {
    const parameter = `$${first + 1 + at}::${sqlType}`;
    return constants[at] === true ? `${parameter} as ${name}` : `unnest(${parameter}[]) as ${name}`;
  });
  return `select unnest($${first}::${key}, ${values.join(', ')}`;
}

/** A fetched value replaces one of before the fetch. */
const setsSql = (columns: readonly FetchedColumn[], from: string): string =>
  columns
    .map(
      ({ name, stamp }) =>
        `${name} = case when t._stamps is null or coalesce((t._stamps->>${literal(stamp)})::bigint, 0) < $1
        then ${from}.${name} else t.${name} end`,
    )
    .join(', ');

const STAMPS = `_stamps = case when t._stamps is null then null else (
    select jsonb_object_agg(key, value) from jsonb_each(t._stamps) where value::bigint > $1) end`;
/** Fields that something later than the fetch has told of. */
const LATER = `case when m._stamps is not null
    then (select array_agg(key) from jsonb_object_keys(m._stamps) key) end as later`;
/** The log's columns but `more`, and what they are. */
const LOG = 'tick, entity_type, entity_id, source, user_type, user_id';
const logged = (table: EntityTable): string =>
  `$1::bigint, ${literal(table.type)}, m.id, $3::text, $4::text, $5::bigint`;

type TextOf = (
  table: EntityTable,
  columns: readonly FetchedColumn[],
  constants: readonly boolean[],
) => string;

const TEXTS: Readonly<Record<FetchedWork, TextOf>> = {
  merge: (table, columns, constants) => {
    const names = columns.map(({ name }) => name).join(', ');
    return `with m as (
        insert into ${table.sqlName} as t (id, ${names}, _fetched_tick, _site_time)
        select i.*, $1::bigint, $2::timestamptz
          from (${inputSql(3, 'bigint[]) as id', columns, constants)}) i order by i.id
        on conflict (id) do update set ${setsSql(columns, 'excluded')}, ${STAMPS},
          _fetched_tick = $1, _site_time = greatest(t._site_time, excluded._site_time)
        where t._fetched_tick < $1
        returning t.id, t._stamps)
      select m.id, ${LATER}, false as appeared from m`;
  },
  // The rows are locked, so what they were is what they are in the snapshot.
  change: (table, columns, constants) => `with m as (
      update ${table.sqlName} t set ${setsSql(columns, 'i')}, ${STAMPS},
        _fetched_tick = $1, _site_time = greatest(t._site_time, $2::timestamptz)
      from (${inputSql(6, 'tid[]) as place', columns, constants)}) i
        join ${table.sqlName} k on k.ctid = i.place
      where t.ctid = i.place and t._fetched_tick < $1
      returning t.id, t._stamps, ${differencesSql([...scalarFields(table).values()])} as more),
    logged as (
      insert into understudy.data_update (${LOG}, field, more)
      select ${logged(table)}, '_fields', ('{' || m.more || '}')::json from m where m.more <> '' order by m.id)
    select m.id, ${LATER}, false as appeared from m`,
  make: (table, columns, constants) => {
    const names = columns.map(({ name }) => name).join(', ');
    return `with m as (
        insert into ${table.sqlName} as t (id, ${names}, _fetched_tick, _site_time)
        select i.*, $1::bigint, $2::timestamptz
          from (${inputSql(6, 'bigint[]) as id', columns, constants)}) i order by i.id
        on conflict (id) do nothing returning t.id),
      logged as (
        insert into understudy.data_update (${LOG}, field, new)
        select ${logged(table)}, '_row', 'true'::jsonb from m order by m.id)
      select m.id, null::text[] as later, true as appeared from m`;
  },
};

/** PostgreSQL takes at most 100 arguments to a function. */
const FIELDS_AT_ONCE = 90;

/** Members of a JSON object: each field that differs between rows `k` and `t`, with both values; else empty. */
function differencesSql(fields: readonly ScalarField[]): string {
  const members = fields.map(
    (field) => `case when ${field.differsSql('k', 't')} then ${literal(`${JSON.stringify(field.name)}:[`)}
        || coalesce((${field.wireSql('k')})::text, 'null') || ',' || coalesce((${field.wireSql('t')})::text, 'null') || ']' end`,
  );
  const parts: string[] = [];
  for (let at = 0; at < members.length; at += FIELDS_AT_ONCE)
    parts.push(`nullif(concat_ws(',', ${members.slice(at, at + FIELDS_AT_ONCE).join(', ')}), '')`);
  return `concat_ws(',', ${parts.join(', ')})`;
}
