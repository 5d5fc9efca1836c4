import type { EntityTable } from '../entity-tables.ts';
import { type Statement, statement } from '../statement.ts';
import { literal, type ScalarField, scalarFields } from './columns.ts';

/** A statement that merges fetched rows of a type. */
export interface UpsertStatement {
  readonly statement: Statement;
  /** Of each column, whether its parameter is one value that all rows have; else it is an array. */
  readonly constants: readonly boolean[];
}

/** Prepared statements of a type: one for each set of constant columns, and no more than these. */
const KEPT = 16;

const kept = new WeakMap<EntityTable, { readonly [logged: string]: UpsertStatement[] }>();

/**
 * The statement for rows of which some columns have the same value in all: most rows of a page share their project, and
 * many columns are empty; an array of each would cost about as much as writing the rows. Once there are many statements,
 * one is taken that knows of some of the constant columns only.
 * @param constants of each column, in the order of `scalarFields`, whether all rows have one value.
 */
export function upsertStatement(
  table: EntityTable,
  logged: boolean,
  constants: readonly boolean[],
): UpsertStatement {
  const ofTable = kept.get(table) ?? { true: [], false: [] };
  kept.set(table, ofTable);
  const known = ofTable[String(logged)] ?? [];
  const fitting = known
    .filter((one) => one.constants.every((isConstant, at) => !isConstant || constants[at] === true))
    .toSorted((a, b) => countOf(b.constants) - countOf(a.constants))[0];
  if (fitting !== undefined && (known.length >= KEPT || countOf(fitting.constants) === countOf(constants)))
    return fitting;
  // The last one fits whatever comes.
  const taken = known.length >= KEPT - 1 ? constants.map(() => false) : constants;
  const made = { statement: statement('merge', upsertText(table, logged, taken)), constants: taken };
  known.push(made);
  return made;
}

const countOf = (constants: readonly boolean[]): number => constants.filter(Boolean).length;

/**
 * The rows before the merge are read and locked by the statement itself (`known`), so that what it logs is what it
 * changed, whoever else writes at the same time. Full joins where inner ones would do: they are never made by nested
 * loops, which is what the planner would choose for a table that it believes to be empty. Parameters: tick, site time, for the log source and user, an array
 * of ids, then of each column an array or the one value. Arrays are unnested side by side in the list of columns: as a
 * function's rows, each would be stored once more.
 */
function upsertText(table: EntityTable, logged: boolean, constants: readonly boolean[]): string {
  const fields = [...scalarFields(table).values()];
  const columns = fields.flatMap((field) =>
    field.columns.map((column) => ({ ...column, stamp: field.name })),
  );
  const names = columns.map((column) => column.name).join(', ');
  const first = logged ? 6 : 3;
  const values = columns.map(({ name, sqlType }, at) => {
    const parameter = `$${first + 1 + at}::${sqlType}`;
    return constants[at] === true ? `${parameter} as ${name}` : `unnest(${parameter}[]) as ${name}`;
  });
  const sets = columns.map(
    ({ name, stamp }) =>
      `${name} = case when t._stamps is null or coalesce((t._stamps->>${literal(stamp)})::bigint, 0) < $1
        then excluded.${name} else t.${name} end`,
  );
  const input = `input as (select unnest($${first}::bigint[]) as id, ${values.join(', ')})`;
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
      returning ${logged ? `t.*, t.xmax <> '0'::xid as _was_there` : 't.id, t._stamps'}`;
  const result = `select m.id, case when m._stamps is not null
      then (select array_agg(key) from jsonb_object_keys(m._stamps) key) end as later`;
  const log = logSteps(table, fields);
  return logged
    ? `with ${input}, ${known}, merged as (${upsert}), ${log.differing}, logged as (${log.insert})
      ${result}, k.id is null as appeared, k.id is null and m._was_there as raced
      from merged m full join known k on k.id = m.id where coalesce(m.id, 0) > 0`
    : `with ${input}, merged as (${upsert}) ${result}, false as appeared, false as raced from merged m`;
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
