import type { DataTypeName } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES, isDataTypeName } from '@understudy/domain/data-types/registry';
import type { Json } from '@understudy/domain/entity';
import { identifierField } from '@understudy/schema/display-name';
import { parseSiteSchema } from '@understudy/schema/site-schema';
import { parse } from 'yaml';
import type { Connection } from './connections.ts';

export interface SandboxField {
  readonly name: string;
  /** The human name. */
  readonly displayName: string;
  readonly description: string;
  readonly dataType: DataTypeName;
  readonly validTypes: readonly string[];
  readonly validValues: readonly string[];
  readonly unique: boolean;
  readonly mandatory: boolean;
  readonly readOnly: boolean;
  /** What a create sets where the caller does not; null for nothing. */
  readonly defaultValue: Json;
  /** Further properties that schema_field_create or _update set (protocol §5.8). */
  readonly properties: Readonly<Record<string, Json>>;
  /** Ids of the projects where it is hidden. */
  readonly hiddenIn: readonly number[];
  /** The field on the other side that this one mirrors (a back-reference, protocol §6.3). */
  readonly inverse: { readonly type: string; readonly field: string } | null;
}

export interface SandboxType {
  readonly name: string;
  readonly fields: Map<string, SandboxField>;
  /** The field that display names mirror (protocol §3.4). */
  readonly identifier: string;
  /** Whether the schema calls leave it out, although it can be read. */
  readonly internal: boolean;
  /** The list whose links its rows stand for; null for all but connection types. */
  readonly connection: Connection | null;
  /** Names of deleted fields; they are never given again (protocol §5.8). */
  readonly trash: Set<string>;
}

/** The sandbox's schema; it changes while the site lives (fields made, changed, deleted). */
export type SandboxSchema = Map<string, SandboxType>;

const PEOPLE = ['HumanUser', 'ApiUser'];

/** Of these the site alone makes the values (protocol §3.5). */
const READ_ONLY: ReadonlySet<DataTypeName> = new Set([
  'calculated',
  'pivot_column',
  'query',
  'summary',
  'uuid',
]);

/** A field with what most fields have. */
export function field(name: string, dataType: DataTypeName, more: Partial<SandboxField> = {}): SandboxField {
  return {
    name,
    displayName: humanName(name),
    description: '',
    dataType,
    validTypes: [],
    validValues: [],
    unique: false,
    mandatory: false,
    readOnly: false,
    defaultValue: null,
    properties: {},
    hiddenIn: [],
    inverse: null,
    ...more,
    ...(READ_ONLY.has(dataType) ? { readOnly: true } : {}),
  };
}

/** A type whose display names mirror the field that they mirror on a site, or that is there. */
export function entityType(
  name: string,
  fields: Iterable<SandboxField>,
  more: Partial<SandboxType> = {},
): SandboxType {
  const byName = new Map([...fields].map((item) => [item.name, item]));
  const usual = identifierField(name);
  const identifier =
    [usual, 'code', 'name', 'title', 'display_name', 'filename'].find((candidate) => byName.has(candidate)) ??
    usual;
  return { name, fields: byName, identifier, internal: false, connection: null, trash: new Set(), ...more };
}

/** `sg_status_list` → `Status List`. */
function humanName(name: string): string {
  return name
    .replace(/^sg_/, '')
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
}

/** What every type of a site has. */
const EVERY_TYPE: readonly SandboxField[] = [
  field('id', 'number', { readOnly: true }),
  field('created_at', 'date_time'),
  field('created_by', 'entity', { validTypes: PEOPLE }),
  field('updated_at', 'date_time', { readOnly: true }),
  field('updated_by', 'entity', { validTypes: PEOPLE, readOnly: true }),
  field('cached_display_name', 'text', { readOnly: true }),
];

/** EventLogEntry (protocol §6.1). */
const EVENT_LOG_ENTRY: readonly SandboxField[] = [
  field('id', 'number', { readOnly: true }),
  field('event_type', 'text'),
  field('attribute_name', 'text'),
  field('entity', 'entity'),
  field('project', 'entity', { validTypes: ['Project'] }),
  field('user', 'entity', { validTypes: PEOPLE }),
  field('meta', 'serializable'),
  field('created_at', 'date_time', { readOnly: true }),
  field('description', 'text'),
  field('session_uuid', 'uuid'),
  field('cached_display_name', 'text', { readOnly: true }),
  field('image', 'image', { readOnly: true }),
  field('filmstrip_image', 'image', { readOnly: true }),
];

/** The columns of the site's own schema: not in the schema calls, but links of events lead to them (protocol §6.3). */
const DISPLAY_COLUMN: readonly SandboxField[] = [
  field('name', 'text', { readOnly: true }),
  field('human_name', 'text', { readOnly: true }),
  field('description', 'text', { readOnly: true }),
  field('entity_type', 'entity_type', { readOnly: true }),
  field('data_type', 'text', { readOnly: true }),
  field('properties', 'serializable', { readOnly: true }),
];

/** The fields of a type that an administrator switches on. */
export function standardFields(): readonly SandboxField[] {
  return [
    field('code', 'text'),
    field('project', 'entity', { validTypes: ['Project'] }),
    field('description', 'text'),
    ...EVERY_TYPE,
  ];
}

function parseDeclaredField(place: string, name: string, declared: unknown): SandboxField {
  const entries = typeof declared === 'string' ? [[declared, []]] : Object.entries(declared as object);
  const [dataType, allowed] = entries[0] as [string, unknown];
  const options = Object.fromEntries(entries.slice(1)) as Record<string, unknown>;
  if (!isDataTypeName(dataType)) throw new Error(`${place}: unknown data type ${dataType}`);
  const list = Array.isArray(allowed) ? allowed.map(String) : [];
  const storage = DATA_TYPES[dataType].storage;
  const isLink = storage === 'link' || storage === 'links';
  const inverse = typeof options['inverse'] === 'string' ? options['inverse'].split('.') : [];
  return field(name, dataType, {
    validTypes: isLink ? list : [],
    validValues: isLink ? [] : list,
    unique: options['unique'] === true,
    readOnly: options['read_only'] === true,
    defaultValue: (options['default'] ?? null) as Json,
    inverse: inverse.length === 2 ? { type: inverse[0] as string, field: inverse[1] as string } : null,
  });
}

function parseConnection(
  name: string,
  declared: { readonly list: string; readonly from: string; readonly to: string } | undefined,
): Connection | null {
  if (declared === undefined) return null;
  const [type, field] = declared.list.split('.');
  if (type === undefined || field === undefined) throw new Error(`connections.${name}: no list`);
  return { type, field, from: declared.from, to: declared.to };
}

/** What connection types have of these: a row says of itself neither when it was made nor when it was changed. */
const EVEN_CONNECTIONS: ReadonlySet<string> = new Set(['id', 'cached_display_name']);

/**
 * Adds EventLogEntry, DisplayColumn and what types have without being declared.
 * @param standard the fields of every type but connection types.
 */
function complete(types: Map<string, SandboxType>, standard: readonly SandboxField[]): SandboxSchema {
  types.set(
    'DisplayColumn',
    entityType('DisplayColumn', DISPLAY_COLUMN, { identifier: 'name', internal: true }),
  );
  for (const type of types.values()) {
    for (const one of standard) {
      if (type.connection !== null && !EVEN_CONNECTIONS.has(one.name)) continue;
      if (!type.fields.has(one.name)) type.fields.set(one.name, one);
    }
  }
  const logged = types.get('EventLogEntry')?.fields.values() ?? [];
  types.set('EventLogEntry', entityType('EventLogEntry', [...logged, ...EVENT_LOG_ENTRY]));
  return types;
}

/** Reads the sandbox's own YAML (see schema/sandbox-site.yaml). @throws Error naming the place. */
export function parseSandboxYaml(yamlText: string): SandboxSchema {
  const document = parse(yamlText) as {
    types: Record<string, Record<string, unknown>>;
    /** Type → the field that its display names mirror, where it is not the usual one. */
    identifiers?: Record<string, string>;
    /** Connection type → the list that it stands for, and its two links. */
    connections?: Record<string, { readonly list: string; readonly from: string; readonly to: string }>;
  };
  const types = new Map<string, SandboxType>();
  for (const [name, fields] of Object.entries(document.types)) {
    const parsed = Object.entries(fields).map(([key, declared]) =>
      parseDeclaredField(`types.${name}.${key}`, key, declared),
    );
    const identifier = document.identifiers?.[name];
    types.set(
      name,
      entityType(name, parsed, {
        connection: parseConnection(name, document.connections?.[name]),
        ...(identifier === undefined ? {} : { identifier }),
      }),
    );
  }
  return complete(types, EVERY_TYPE);
}

/** No editable fields by what a site says, but a create may set them (protocol §5.1). */
const SET_BY_CREATE: ReadonlySet<string> = new Set(['created_at', 'created_by']);
/** Editable by what a site says. */
const COMPUTED: ReadonlySet<string> = new Set(['cached_display_name']);

/** Reads the JSON that `schema_read` of any site gives; fields of unknown data types are left out. */
export function parseSandboxJson(text: string): SandboxSchema {
  const types = new Map<string, SandboxType>();
  for (const [name, siteFields] of parseSiteSchema(JSON.parse(text))) {
    const fields = [...siteFields.values()].flatMap((siteField) => {
      const { dataType, validTypes, validValues, unique, defaultValue, editable } = siteField;
      if (!isDataTypeName(dataType)) return [];
      // Old sites give 0 and 1 as the defaults of checkboxes.
      const isNumber = dataType === 'checkbox' && typeof defaultValue === 'number';
      const usual = (isNumber ? defaultValue !== 0 : defaultValue) as Json;
      const readOnly = (!editable && !SET_BY_CREATE.has(siteField.name)) || COMPUTED.has(siteField.name);
      const more = { validTypes, validValues, unique, readOnly, defaultValue: usual };
      return [field(siteField.name, dataType, more)];
    });
    types.set(name, entityType(name, fields));
  }
  // A site says itself which fields a type has; many have no `updated_at`.
  return complete(types, [field('id', 'number', { readOnly: true })]);
}
