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
  /** SQL of the columns from which `read` makes the canonical wire form: cheaper than JSON. @param alias of the row. */
  readonly readSql: (alias: string) => readonly string[];
  /** What `readSql` gave, from its first column on, in canonical wire form. */
  readonly read: (values: readonly unknown[], first: number) => Json;
  /** SQL of whether two rows differ in it. @param named of the columns of the first. */
  readonly differsSql: (a: string, b: string, named?: Naming) => string;
}

/** How a column is called where it is not called by its own name. */
type Naming = (column: string) => string;

interface Reading {
  readonly sql: (column: string) => string;
  readonly read: ScalarField['read'];
}

function asItIs(values: readonly unknown[], at: number): Json {
  return values[at] as Json;
}

function numberAt(values: readonly unknown[], at: number): Json {
  const value = values[at];
  return value === null ? null : Number(value);
}

const SECONDS_LENGTH = '2026-11-05T12:00:00'.length;

/** Seconds since 1970, as the site writes times: to the second, in UTC. */
function timeAt(values: readonly unknown[], at: number): Json {
  const seconds = values[at];
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return null;
  return `${new Date(Math.floor(seconds) * 1_000).toISOString().slice(0, SECONDS_LENGTH)}Z`;
}

const same = (value: Json): Json => value;
const own: Naming = (column) => column;

function scalarField(
  name: string,
  columns: readonly Column[],
  more: Pick<ScalarField, 'parse' | 'canonical' | 'wireSql' | 'readSql' | 'read'>,
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
  readSql: (alias) => [`${alias}._active`],
  read: asItIs,
});

/** How values of a column are read back; what is not here is read as JSON. */
const READINGS: Readonly<Record<string, Reading>> = {
  text: { sql: (column) => column, read: asItIs },
  uuid: { sql: (column) => column, read: asItIs },
  boolean: { sql: (column) => column, read: asItIs },
  jsonb: { sql: (column) => column, read: asItIs },
  bigint: { sql: (column) => column, read: numberAt },
  timestamptz: { sql: (column) => `date_part('epoch', ${column})`, read: timeAt },
};

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
      const reading = READINGS[sqlType] ?? { sql: (given: string) => `to_jsonb(${given})`, read: asItIs };
      fields.set(
        name,
        scalarField(name, [{ name: column, sqlType, of: same }], {
          parse,
          canonical: parse,
          wireSql,
          readSql: (alias) => [reading.sql(`${alias}.${column}`)],
          read: reading.read,
        }),
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
        scalarField(name, columns, {
          parse,
          canonical: (wire) => bare(parse(wire)),
          wireSql,
          readSql: (alias) => [`${alias}.${typeColumn}`, `${alias}.${idColumn}`],
          read: (values, at) =>
            values[at + 1] === null ? null : { type: values[at] as string, id: Number(values[at + 1]) },
        }),
      );
    }
  }
  fields.set(ACTIVE.name, ACTIVE);
  known.set(table, fields);
  return fields;
}

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
