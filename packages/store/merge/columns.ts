import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { EntityTable } from '../entity-tables.ts';

/** One column of an entity table, and how a value of its field is written there. */
export interface Column {
  /** Quoted where it needs it. */
  readonly name: string;
  readonly sqlType: string;
  /** What `of` makes of a value in canonical form. */
  readonly of: (value: Json) => Json;
}

/** A field that has columns of its own in its type's table; `_active` is treated as one. */
export interface ScalarField {
  readonly name: string;
  readonly columns: readonly Column[];
  /** Takes a wire value, gives the canonical form. @throws ValueError */
  readonly parse: (wire: unknown) => Json;
  /** The same, with links cut down to type and id, as the columns give them back. @throws ValueError */
  readonly canonical: (wire: unknown) => Json;
  /** SQL of the canonical wire form as jsonb, null where the value is null. @param alias of the row. */
  readonly wireSql: (alias: string, named?: Naming) => string;
  /** SQL of whether two rows differ in it. @param named of the columns of the first. */
  readonly differsSql: (a: string, b: string, named?: Naming) => string;
}

/** How a column is called where it is not called by its own name. */
type Naming = (column: string) => string;

const same = (value: Json): Json => value;
const own: Naming = (column) => column;

function scalarField(
  name: string,
  columns: readonly Column[],
  more: Pick<ScalarField, 'parse' | 'canonical' | 'wireSql'>,
): ScalarField {
  return {
    name,
    columns,
    ...more,
    differsSql: (a, b, named = own) =>
      columns.map(({ name: column }) => `${a}.${named(column)} is distinct from ${b}.${column}`).join(' or '),
  };
}

const ACTIVE = scalarField('_active', [{ name: '_active', sqlType: 'boolean', of: same }], {
  parse: (value) => value === true,
  canonical: (value) => value === true,
  wireSql: (alias, named = own) => `to_jsonb(${alias}.${named('_active')})`,
});

const bare = (value: Json): Json => (isEntityRef(value) ? { type: value.type, id: value.id } : null);

const known = new WeakMap<EntityTable, ReadonlyMap<string, ScalarField>>();

/** The fields of a type that have columns, in one order, `_active` last. */
export function scalarFields(table: EntityTable): ReadonlyMap<string, ScalarField> {
  const found = known.get(table);
  if (found !== undefined) return found;
  const fields = new Map<string, ScalarField>();
  for (const [name, storage] of table.fields) {
    if (storage.kind !== 'column' && storage.kind !== 'link') continue;
    const { parse } = DATA_TYPES[storage.field.dataType];
    if (storage.kind === 'column') {
      const { column, sqlType } = storage;
      const wireSql = (alias: string, named = own): string =>
        sqlType === 'timestamptz'
          ? `to_jsonb(to_char(${alias}.${named(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))`
          : `to_jsonb(${alias}.${named(column)})`;
      fields.set(
        name,
        scalarField(name, [{ name: column, sqlType, of: same }], { parse, canonical: parse, wireSql }),
      );
    } else {
      const { typeColumn, idColumn } = storage;
      const columns: readonly Column[] = [
        { name: typeColumn, sqlType: 'text', of: (value) => (isEntityRef(value) ? value.type : null) },
        { name: idColumn, sqlType: 'bigint', of: (value) => (isEntityRef(value) ? value.id : null) },
      ];
      const wireSql = (alias: string, named = own): string =>
        `case when ${alias}.${named(idColumn)} is not null
          then jsonb_build_object('type', ${alias}.${named(typeColumn)}, 'id', ${alias}.${named(idColumn)}) end`;
      fields.set(
        name,
        scalarField(name, columns, { parse, canonical: (wire) => bare(parse(wire)), wireSql }),
      );
    }
  }
  fields.set(ACTIVE.name, ACTIVE);
  known.set(table, fields);
  return fields;
}

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const NEEDS_ESCAPE = /["\\]/;

/** PostgreSQL's text form of an array of a column's values: much cheaper to make and to read than JSON of rows. */
export function arrayLiteral(values: readonly Json[], sqlType: string): string {
  let text = '{';
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    if (at > 0) text += ',';
    if (value === null || value === undefined) text += 'NULL';
    else if (sqlType === 'jsonb') text += quoted(JSON.stringify(value));
    else if (typeof value === 'string') text += quoted(value);
    else text += String(value);
  }
  return `${text}}`;
}

function quoted(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : `"${text}"`;
}
