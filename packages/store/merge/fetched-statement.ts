import type { Json } from '@understudy/domain/entity';
import type { EntityTable } from '../entity-tables.ts';
import { type Statement, statement } from '../statement.ts';
import { arrayParameter, valueParameter } from './array-parameter.ts';
import { literal, type ScalarField, scalarFields } from './columns.ts';
import { FIELDS, MANY, ROW, ROWS } from './update-log.ts';

/** A column of fetched rows. */
interface Column {
  readonly name: string;
  readonly sqlType: string;
  /** Its field: what its stamp is called. */
  readonly stamp: string;
}

/** The values that rows were fetched with in one column, in the order of the rows, and how they are sent. */
export interface FetchedColumn extends Column {
  readonly values: readonly Json[];
  /** All rows have the same value, and there are many. */
  readonly isConstant: boolean;
  readonly parameter: Parameter;
}

/** How a statement logs what it does. */
export interface StatementLog {
  /** From how many rows on that changed they are one entry. */
  readonly bundled: number;
  /** Whether those that are to be made are one. */
  readonly isBundle: boolean;
}

/** What becomes of fetched rows: those that are there `change`, the others are to be made. */
export type FetchedWork = 'change' | 'make';

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

const kept = new WeakMap<EntityTable, Map<string, Prepared[]>>();

/** A column with its values, made ready to be sent. */
export function fetchedColumn(column: Column, values: readonly Json[]): FetchedColumn {
  const [first = null] = values;
  const isConstant = values.length >= MANY_ROWS && values.every((value) => value === first);
  const parameter = isConstant
    ? valueParameter(first, column.sqlType)
    : arrayParameter(values, column.sqlType);
  return { ...column, values, isConstant, parameter };
}

/** The same column of some of the rows, by their places. */
export function partOf(
  { name, sqlType, stamp, values }: FetchedColumn,
  some: readonly number[],
): FetchedColumn {
  return fetchedColumn(
    { name, sqlType, stamp },
    some.map((at) => values[at] ?? null),
  );
}

/**
 * The statement for fetched rows, and its last parameters. Most rows of a page share their project, and many columns are
 * empty: an array of each would cost about as much as writing the rows. Once there are many statements, one is taken that
 * knows of some of the constant columns only.
 *
 * Its first parameters are the tick and the site's time; where it is logged the log's source, type and id of the user;
 * then one array: places of rows to change, ids of rows to make. It answers how many rows it `written`, by id of those
 * that have any the fields that something `later` than the fetch has told of, and ids of those of which it told otherwise
 * (`doubtful`); where it makes rows, it may answer nothing.
 */
export function fetchedStatement(
  table: EntityTable,
  work: FetchedWork,
  log: StatementLog | null,
  columns: readonly FetchedColumn[],
): Statement & { readonly parameters: readonly Parameter[] } {
  const { statement: made, constants } = prepared(table, work, log, columns);
  const parameters = columns.map(({ values, sqlType, isConstant, parameter }, at) =>
    isConstant && constants[at] !== true ? arrayParameter(values, sqlType) : parameter,
  );
  return { ...made, parameters };
}

function prepared(
  table: EntityTable,
  work: FetchedWork,
  log: StatementLog | null,
  columns: readonly FetchedColumn[],
): Prepared {
  const purpose = `fetched-${work}${log === null ? '' : `-logged-${work === 'make' ? log.isBundle : log.bundled}`}`;
  const ofTable = kept.get(table) ?? new Map<string, Prepared[]>();
  kept.set(table, ofTable);
  const known = ofTable.get(purpose) ?? [];
  ofTable.set(purpose, known);
  const wanted = columns.filter(({ isConstant }) => isConstant).length;
  const fitting = known
    .filter((one) => columns.every(({ isConstant }, at) => isConstant || one.constants[at] !== true))
    .toSorted((a, b) => countOf(b.constants) - countOf(a.constants))[0];
  if (fitting !== undefined && (known.length >= KEPT || countOf(fitting.constants) === wanted))
    return fitting;
  // The last one fits whatever comes.
  const constants = columns.map(({ isConstant }) => isConstant && known.length < KEPT - 1);
  const text = TEXTS[work](table, columns, constants, log);
  const made = { statement: statement(purpose, text), constants };
  known.push(made);
  return made;
}

const countOf = (constants: readonly boolean[]): number => constants.filter(Boolean).length;

/** Number of the first parameter after those of the log. */
const keysAt = (log: StatementLog | null): number => (log === null ? 3 : 6);

/**
 * Rows as they were fetched, in their order. Arrays are unnested side by side in the list of columns: as a function's rows,
 * each would be stored once more.
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
/** How many rows were written, and the fields that something later than the fetch has told of. */
const WRITTEN = `count(*)::int as written, json_object_agg(m.id,
    (select json_agg(key) from jsonb_object_keys(m._stamps) key)) filter (where m._stamps is not null) as later,
    json_agg(m.id) filter (where m.is_doubtful) as doubtful`;
/** Whether the fetch shows a field otherwise than what has told of it later; that may have happened before all the same. */
const doubtfulSql = (fields: readonly ScalarField[]): string =>
  `t._stamps is not null and (${fields
    .map((field) => `t._stamps ? ${literal(field.name)} and (${field.differsSql('i', 't')})`)
    .join(' or ')}) as is_doubtful`;
/** The log's columns, and what they are. */
const LOG = 'tick, entity_type, source, user_type, user_id, entity_id, field';
const logged = (table: EntityTable): string =>
  `$1::bigint, ${literal(table.type)}, $3::text, $4::text, $5::bigint`;

type TextOf = (
  table: EntityTable,
  columns: readonly FetchedColumn[],
  constants: readonly boolean[],
  log: StatementLog | null,
) => string;

const TEXTS: Readonly<Record<FetchedWork, TextOf>> = {
  // The rows are locked, so what they were is what they are in the snapshot.
  change: (table, columns, constants, log) => {
    const fields = [...scalarFields(table).values()];
    return `with m as (
      update ${table.sqlName} t set ${setsSql(columns, 'i')}, ${STAMPS},
        _fetched_tick = $1, _site_time = greatest(t._site_time, $2::timestamptz)
      from (${inputSql(keysAt(log), 'tid[]) as place', columns, constants)}) i
        ${log === null ? '' : `join ${table.sqlName} k on k.ctid = i.place`}
      where t.ctid = i.place and t._fetched_tick < $1
      returning t.id, t._stamps, ${doubtfulSql(fields)}${log === null ? '' : `, ${differencesSql(fields)} as more`})
    ${log === null ? '' : `, ${changesSql(table, log)}`}
    select ${WRITTEN} from m`;
  },
  // Nobody else is known to make them; without a look at whether somebody does, it takes a quarter less.
  make: (table, columns, constants, log) => {
    const names = columns.map(({ name }) => name).join(', ');
    const keys = keysAt(log);
    return `${log === null ? '' : `with ${appearancesSql(table, log, `$${keys}::bigint[]`)}`}
      insert into ${table.sqlName} (id, ${names}, _fetched_tick, _site_time)
      select i.*, $1::bigint, $2::timestamptz
      from (${inputSql(keys, 'bigint[]) as id', columns, constants)}) i`;
  },
};

/** Logs rows that appear. @param ids SQL of them. */
function appearancesSql(table: EntityTable, { isBundle }: StatementLog, ids: string): string {
  return `logged as (
        insert into understudy.data_update (${LOG}, ${isBundle ? 'old, new, more' : 'new'})
        select ${logged(table)}, ${
          isBundle
            ? `0, '${ROWS}', to_jsonb(min(id)), to_jsonb(max(id)), json_agg(id) from unnest(${ids}) id`
            : `unnest(${ids}), '${ROW}', 'true'::jsonb`
        })`;
}

/** More characters are not put into one entry: who asks for the history of one row has all of it taken apart. */
const BUNDLE_MAX = 2_000_000;

/** Logs what differs in changed rows `m`, whose `more` has it. */
function changesSql(table: EntityTable, { bundled }: StatementLog): string {
  const members = `string_agg('"' || id || '":{' || more || '}', ',')`;
  return `differing as materialized (select id, more from m where more <> ''),
    bundle as materialized (select count(*) >= ${bundled} and sum(length(more)) <= ${BUNDLE_MAX} as is_one from differing),
    logged as (
      insert into understudy.data_update (${LOG}, old, new, more)
      select ${logged(table)}, id, '${FIELDS}', null, null, ('{' || more || '}')::json
      from differing where not (select is_one from bundle)
      union all
      select ${logged(table)}, 0, '${MANY}', to_jsonb(min(id)), to_jsonb(max(id)), ('{' || ${members} || '}')::json
      from differing where (select is_one from bundle) having count(*) > 0)`;
}

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
