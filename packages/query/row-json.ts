import { NotCompiled } from './pass-through.ts';
import { segmentsOf } from './path.ts';
import type { Located, Scope, Source } from './scope.ts';
import { literal } from './sql.ts';

/** Beyond so many types that a field may lead to, telling which it is takes longer than writing it as any text. */
const TYPES_MAX = 8;

/** The beginning of a link's JSON text, up to its id. */
function linkStart(types: readonly string[]): string {
  const other = `'{"type":' || json_scalar(lt.entity_type)::text || ',"id":'`;
  if (types.length === 0 || types.length > TYPES_MAX) return other;
  const known = types.map(
    (type) => `when ${literal(type)} then ${literal(`{"type":${JSON.stringify(type)},"id":`)}`,
  );
  return `case lt.entity_type ${known.join(' ')} else ${other} end`;
}

/**
 * SQL for the JSON text of a link to something alive, as the site writes it (protocol §3.4).
 * @param types that the field may lead to; empty where that is not known.
 */
const linkJson = (alias: string, typeColumn: string, idColumn: string, types: readonly string[]): string =>
  `select ${linkStart(types)} || lt.entity_id || ',"name":' || coalesce(json_scalar(lt.name)::text, 'null') || '}' as json
        from understudy.link_target lt where lt.entity_type = ${alias}.${typeColumn}
        and lt.entity_id = ${alias}.${idColumn} and lt.active`;

/** SQL for a field's JSON text (protocol §3.5). */
export function fieldJson(source: Source, located: Located): string {
  const { alias } = source;
  switch (located.kind) {
    case 'column':
      return columnJson(`${alias}.${located.column}`, located.sqlType);
    case 'link':
      // A lookup for each row: joined instead, 500 rows with four links take twice as long (7 to 20 ms of PostgreSQL),
      // since all names are hashed for a page of them.
      return `coalesce((${linkJson(alias, located.typeColumn, located.idColumn, located.field.validTypes)}), 'null')`;
    case 'links':
      // `offset 0` keeps it a lookup for each link: joined otherwise, names are read from the first of their type on, up to
      // that which is linked.
      return `coalesce((select '[' || string_agg(lt.json, ',' order by l.target_id, l.target_type collate "C") || ']'
        from ${located.table} l join lateral (${linkJson('l', 'target_type', 'target_id', located.field.validTypes)} offset 0) lt on true
        where l.entity_id = ${alias}.id and not l._removed), '[]')`;
    case 'none':
      throw new NotCompiled('field not kept', `${source.type.name}.${located.field.name}`);
  }
}

/**
 * `json_scalar` knows the type of what it is given once the statement is prepared; `to_json` looks it up for each value, and
 * takes half as long again.
 */
function columnJson(column: string, sqlType: string): string {
  switch (sqlType) {
    case 'boolean':
      return `case when ${column} then 'true' else 'false' end`;
    // Written as JSON has it whatever the session's style is, in half the time that a pattern takes. Years have four digits.
    case 'timestamptz':
      return `coalesce(left(json_scalar(${column} at time zone 'UTC')::text, ${SECONDS_END}) || 'Z"', 'null')`;
    case 'uuid':
      return `coalesce('"' || ${column}::text || '"', 'null')`;
    case 'bigint':
    case 'numeric':
    case 'jsonb':
      return `coalesce(${column}::text, 'null')`;
    default:
      return `coalesce(json_scalar(${column})::text, 'null')`;
  }
}

/** Where the seconds end in `"2026-01-02T03:04:05.678"`. */
const SECONDS_END = 20;

/** Fields of one source, and what its links lead to, in the order in which they were first asked for. */
interface Wanted {
  /** Field name → the key in the reply; or link and type, as in `entity.Shot` → what is wanted there. */
  readonly items: Map<string, string | Wanted>;
}

/** The SQL of a row's JSON text. */
export interface RowSql {
  readonly json: string;
  /** What has to be joined to the row for it; empty or with a space before it. */
  readonly joins: string;
  /** Columns of the row that it is made of, as in SQL. */
  readonly columns: readonly string[];
}

/** Joined links beyond these are looked up for each row: planning joins takes time, and longer with each of them. */
const JOINED_MAX = 5;

type LocatedLink = Extract<Located, { readonly kind: 'link' }>;

/** Joins what links of the root lead to. */
class LinkJoins {
  readonly #most: number;
  readonly #joins: string[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** @returns SQL of the link's JSON text, null for one more than are joined. */
  add({ alias }: Source, { typeColumn, idColumn, field }: LocatedLink): string | null {
    if (this.#joins.length >= this.#most) return null;
    const name = `link${this.#joins.length + 1}`;
    // `offset 0` keeps it a lookup for each different link: never all names hashed, nor another order of rows.
    this.#joins.push(
      ` left join lateral (${linkJson(alias, typeColumn, idColumn, field.validTypes)} offset 0) ${name} on true`,
    );
    return `coalesce(${name}.json, 'null')`;
  }

  get sql(): string {
    return this.#joins.join('');
  }
}

/**
 * SQL for one row's JSON text: type, id and the fields asked for, those that the site lacks left out (protocol §3.4).
 * @param forMany whether many rows are made of it: then links of the row are joined, so that PostgreSQL remembers those that
 *   rows share (their project, their people) instead of looking each up.
 * @throws NotCompiled for fields that the replica does not keep.
 */
export function rowJson(scope: Scope, fields: readonly string[], forMany: boolean): RowSql {
  const { root } = scope;
  const wanted: Wanted = { items: new Map() };
  for (const path of fields) {
    if (path !== 'id' && path !== 'type') want(wanted, path);
  }
  const start = `'{"type":${JSON.stringify(root.type.name)},"id":' || ${root.alias}.id`;
  const joins = new LinkJoins(forMany ? JOINED_MAX : 0);
  const json = [start, ...keys(scope, root, wanted, joins).map((key) => key.sql), `'}'`].join(' || ');
  return { json, joins: joins.sql, columns: [...columnsOf(scope, wanted)] };
}

/** Columns of the root that what is wanted of it is made of. */
function columnsOf(scope: Scope, wanted: Wanted): ReadonlySet<string> {
  const columns = new Set(['id']);
  for (const step of wanted.items.keys()) {
    const located = scope.field(scope.root, step.split('.', 1)[0] ?? '');
    if (located.kind === 'column') columns.add(located.column);
    else if (located.kind === 'link') columns.add(located.typeColumn).add(located.idColumn);
  }
  return columns;
}

function want(root: Wanted, path: string): void {
  const segments = segmentsOf(path);
  let wanted = root;
  // A path that ends with a type names no field: nothing is wanted there.
  for (let at = 0; at < segments.length; at += 2) {
    const [name = '', type] = segments.slice(at, at + 2);
    if (type === undefined) {
      wanted.items.set(name, path);
      return;
    }
    const step = `${name}.${type}`;
    const known = wanted.items.get(step);
    const further: Wanted = typeof known === 'object' ? known : { items: new Map() };
    wanted.items.set(step, further);
    wanted = further;
  }
}

/** SQL of one or more keys with their values, each with a comma before it. */
interface Keys {
  readonly sql: string;
  /** Text of the same where the link that leads there is null. */
  readonly nulls: string;
}

function keys(scope: Scope, source: Source, wanted: Wanted, joins: LinkJoins | null): readonly Keys[] {
  const found: Keys[] = [];
  for (const [step, item] of wanted.items) {
    const [name = '', type] = step.split('.');
    const located = scope.field(source, name);
    if (located.field.absent) continue;
    if (typeof item === 'string') {
      const key = `,${JSON.stringify(item)}:`;
      const joined = located.kind === 'link' ? joins?.add(source, located) : undefined;
      found.push({
        sql: `${literal(key)} || ${joined ?? fieldJson(source, located)}`,
        nulls: `${key}null`,
      });
      continue;
    }
    if (located.kind === 'none') throw new NotCompiled('field not kept', step);
    if (located.kind !== 'link' || type === undefined) continue;
    const { validTypes } = located.field;
    // A type that exists nowhere, or one that the field does not allow: either way the keys are left out.
    if (validTypes.length > 0 && !validTypes.includes(type)) continue;
    if (item.items.size === 0) continue;
    const target = scope.further(type);
    const inner = keys(scope, target, item, null);
    if (inner.length === 0) continue;
    const nulls = inner.map((key) => key.nulls).join('');
    // Looked up for each row of the page, as links are; below a link that is null everything is null, lists and
    // checkboxes too.
    const sql = `coalesce((select ${inner.map((key) => key.sql).join(' || ')} from ${target.table.sqlName} ${target.alias}
      where ${target.alias}.id = ${source.alias}.${located.idColumn} and ${source.alias}.${located.typeColumn} = ${literal(type)}
      and ${target.alias}._active), ${literal(nulls)})`;
    found.push({ sql, nulls });
  }
  return found;
}
