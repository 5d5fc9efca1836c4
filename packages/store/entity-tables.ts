import { createHash } from 'node:crypto';
import { EntitySchema } from '@mikro-orm/postgresql';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { CachedField, CachedType } from '@understudy/schema/cached-schema';

/** Where a field is kept. */
export type FieldStorage =
  | { readonly kind: 'column'; readonly column: string; readonly sqlType: string }
  | { readonly kind: 'link'; readonly typeColumn: string; readonly idColumn: string }
  | { readonly kind: 'links'; readonly table: string }
  | { readonly kind: 'none' };

/** The table of one cached entity type. All names are quoted where they need it: they go into SQL as they are. */
export interface EntityTable {
  readonly type: string;
  /** `site."shot"` */
  readonly sqlName: string;
  readonly fields: ReadonlyMap<string, FieldStorage & { readonly field: CachedField }>;
}

/** Its entries are the event log's: they are read through a view. */
const EVENT_LOG_ENTRY = 'EventLogEntry';
const EVENT_LOG_VIEW = 'understudy.event_log_entry';
const NAME_BYTES = 63;
/** Pages of a table that an index of ranges tells of at once: some two hundred rows. */
const PAGES_PER_RANGE = 16;
/** Written with every change, and few people change all there is: an index of it would cost each change and find little. */
const CHANGED_BY = 'updated_by';
const SQL_TYPES: Readonly<Record<string, string>> = {
  text: 'text',
  integer: 'bigint',
  double: 'double precision',
  numeric: 'numeric',
  boolean: 'boolean',
  date: 'date',
  timestamptz: 'timestamptz',
  uuid: 'uuid',
  jsonb: 'jsonb',
};

/** A name that PostgreSQL keeps whole: cut and made unique by a hash where it is too long. */
function fitName(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES) return name;
  return `${name.slice(0, NAME_BYTES - 9)}_${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}

/** `CustomEntity01` → `custom_entity01`, `PublishedFile` → `published_file`. */
export function tableName(type: string): string {
  return fitName(type.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase());
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const tables = new WeakMap<CachedType, EntityTable>();

/** The physical names of a cached type's table. */
export function entityTable(type: CachedType): EntityTable {
  const known = tables.get(type);
  if (known !== undefined) return known;
  const base = tableName(type.name);
  const fields = new Map<string, FieldStorage & { readonly field: CachedField }>();
  for (const field of type.fields.values()) fields.set(field.name, { ...fieldStorage(base, field), field });
  const sqlName = type.name === EVENT_LOG_ENTRY ? EVENT_LOG_VIEW : `site.${quote(base)}`;
  const table: EntityTable = { type: type.name, sqlName, fields };
  tables.set(type, table);
  return table;
}

function fieldStorage(base: string, field: CachedField): FieldStorage {
  const storage = field.absent ? 'none' : DATA_TYPES[field.dataType].storage;
  const name = field.column ?? field.name;
  if (storage === 'none') return { kind: 'none' };
  if (storage === 'link') {
    return {
      kind: 'link',
      typeColumn: quote(fitName(`${name}__type`)),
      idColumn: quote(fitName(`${name}__id`)),
    };
  }
  if (storage === 'links') return { kind: 'links', table: `site.${quote(fitName(`${base}__${name}`))}` };
  const sqlType = SQL_TYPES[storage];
  if (sqlType === undefined) throw new Error(`no column type for ${storage}`);
  return { kind: 'column', column: quote(fitName(name)), sqlType };
}

/** The name itself of a quoted one, without its schema. */
export const unquote = (name: string): string => name.replace(/^site\./, '').replaceAll(/^"|"$/g, '');

interface Property {
  readonly [option: string]: unknown;
}

function property(column: string, columnType: string, more: Property = {}): Property {
  return { type: 'unknown', columnType, fieldName: unquote(column), nullable: true, ...more };
}

/** MikroORM's description of a type's table and of the tables of its lists of links. */
export function entitySchemas(type: CachedType): EntitySchema[] {
  const table = entityTable(type);
  const base = unquote(table.sqlName);
  const indexes: { name: string; properties?: string[]; expression?: string }[] = [];
  const indexName = (name: string): string => fitName(`${base}_${name}_idx`);
  const index = (name: string, ...properties: string[]): void => {
    indexes.push({ name: indexName(name), properties });
  };
  const properties: Record<string, Property> = {
    id: property('id', 'bigint', { primary: true, nullable: false, autoincrement: false }),
    active: property('_active', 'boolean', { nullable: false }),
    fetchedTick: property('_fetched_tick', 'bigint', { nullable: false }),
    stamps: property('_stamps', 'jsonb'),
    siteTime: property('_site_time', 'timestamptz'),
  };
  const schemas: EntitySchema[] = [];
  let number = 0;
  for (const [name, storage] of table.fields) {
    number += 1;
    if (storage.kind === 'column') {
      properties[`field${number}`] = property(storage.column, storage.sqlType);
      // Every change of a row moves it. An index of single rows would cost each change an entry in every index of the
      // table; one of ranges of pages costs none, and finds what changed lately, which is near together, as well.
      if (name === 'updated_at') {
        const ranges = quote(indexName(`${storage.field.column ?? name}_ranges`));
        indexes.push({
          name: unquote(ranges),
          expression: `create index ${ranges} on ${table.sqlName} using brin (${storage.column})
            with (pages_per_range = ${PAGES_PER_RANGE}, autosummarize = on)`,
        });
      }
    } else if (storage.kind === 'link') {
      properties[`field${number}type`] = property(storage.typeColumn, 'text');
      properties[`field${number}id`] = property(storage.idColumn, 'bigint');
      const called = storage.field.column ?? name;
      // What there is of a project is read page by page in order of ids, often the newest alone.
      if (name === 'project') index(called, `field${number}id`, `field${number}type`, 'id');
      else if (name !== CHANGED_BY) {
        const on = `create index ${quote(indexName(called))} on ${table.sqlName}`;
        const { idColumn, typeColumn } = storage;
        // Every change of a row writes to each index that the row is in, and most links of most rows are empty.
        const expression = `${on} (${idColumn}, ${typeColumn}) where ${idColumn} is not null`;
        indexes.push({ name: indexName(called), expression });
      }
    } else if (storage.kind === 'links')
      schemas.push(linksSchema(type.name, storage.field.column ?? name, storage.table));
  }
  schemas.push(
    new EntitySchema({
      name: `Site${type.name}`,
      schema: 'site',
      tableName: base,
      properties,
      indexes,
    } as never),
  );
  return schemas;
}

const linkingIndex = (table: string): string => fitName(`${unquote(table)}_linking_idx`);

/** Indexes of a type that an older release made, and that cost more than they are worth. */
export function supersededIndexes({ sqlName, fields }: EntityTable): readonly string[] {
  const superseded = [`${unquote(sqlName)}_updated_at_idx`];
  for (const storage of fields.values())
    if (storage.kind === 'links')
      superseded.push(
        ...['target', 'linked'].map((name) => fitName(`${unquote(storage.table)}_${name}_idx`)),
      );
  return superseded;
}

function linksSchema(type: string, field: string, table: string): EntitySchema {
  const key = { primary: true, nullable: false, autoincrement: false };
  const base = unquote(table);
  return new EntitySchema({
    name: `Site${type}Links${field}`,
    schema: 'site',
    tableName: base,
    properties: {
      entityId: property('entity_id', 'bigint', key),
      targetType: property('target_type', 'text', key),
      targetId: property('target_id', 'bigint', key),
      removed: property('_removed', 'boolean', { nullable: false }),
      tick: property('_tick', 'bigint'),
    },
    // Of the links that there are: who is linked to something is then found in the index alone. The type comes last: whether one
    // entity of a hundred is linked to somebody who has ten thousand links is then told by numbers, without comparing texts.
    indexes: [
      {
        name: linkingIndex(table),
        expression: `create index ${quote(linkingIndex(table))} on ${table} (target_id, entity_id, target_type)
          where not _removed`,
      },
    ],
  } as never);
}
