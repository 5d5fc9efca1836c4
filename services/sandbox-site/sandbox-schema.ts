import type { DataTypeName } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES, isDataTypeName } from '@understudy/domain/data-types/registry';
import type { Json } from '@understudy/domain/entity';
import { parseSiteSchema } from '@understudy/schema/site-schema';
import { parse } from 'yaml';

export interface SandboxField {
  readonly name: string;
  readonly dataType: DataTypeName;
  readonly validTypes: readonly string[];
  readonly validValues: readonly string[];
  readonly unique: boolean;
  readonly readOnly: boolean;
  /** The field on the other side that this one mirrors (a back-reference, protocol §6.3). */
  readonly inverse: { readonly type: string; readonly field: string } | null;
}

export interface SandboxType {
  readonly name: string;
  readonly fields: Map<string, SandboxField>;
}

/** The sandbox's schema; it changes while the site lives (fields made, changed, deleted). */
export type SandboxSchema = Map<string, SandboxType>;

const PEOPLE = ['HumanUser', 'ApiUser'];

function field(name: string, dataType: DataTypeName, more: Partial<SandboxField> = {}): SandboxField {
  return {
    name,
    dataType,
    validTypes: [],
    validValues: [],
    unique: false,
    readOnly: false,
    inverse: null,
    ...more,
  };
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
];

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
    inverse: inverse.length === 2 ? { type: inverse[0] as string, field: inverse[1] as string } : null,
  });
}

/** Adds EventLogEntry and the fields of every type. */
function complete(types: Map<string, SandboxType>): SandboxSchema {
  for (const type of types.values()) {
    for (const standard of EVERY_TYPE)
      if (!type.fields.has(standard.name)) type.fields.set(standard.name, standard);
  }
  types.set('EventLogEntry', {
    name: 'EventLogEntry',
    fields: new Map(EVENT_LOG_ENTRY.map((standard) => [standard.name, standard])),
  });
  return types;
}

/** Reads the sandbox's own YAML (see schema/sandbox-site.yaml). @throws Error naming the place. */
export function parseSandboxYaml(yamlText: string): SandboxSchema {
  const document = parse(yamlText) as { types: Record<string, Record<string, unknown>> };
  const types = new Map<string, SandboxType>();
  for (const [name, fields] of Object.entries(document.types)) {
    const parsed = Object.entries(fields).map(([key, declared]) =>
      parseDeclaredField(`types.${name}.${key}`, key, declared),
    );
    types.set(name, { name, fields: new Map(parsed.map((item) => [item.name, item])) });
  }
  return complete(types);
}

/** Reads the JSON that `schema_read` of any site gives; fields of unknown data types are left out. */
export function parseSandboxJson(text: string): SandboxSchema {
  const types = new Map<string, SandboxType>();
  for (const [name, siteFields] of parseSiteSchema(JSON.parse(text))) {
    const fields = new Map<string, SandboxField>();
    for (const siteField of siteFields.values()) {
      const { dataType } = siteField;
      if (!isDataTypeName(dataType)) continue;
      fields.set(
        siteField.name,
        field(siteField.name, dataType, {
          validTypes: siteField.validTypes,
          validValues: siteField.validValues,
          unique: siteField.unique,
        }),
      );
    }
    types.set(name, { name, fields });
  }
  return complete(types);
}

/** @returns a field's descriptor as `schema_read` gives it (protocol §5.8). */
export function describeField(type: SandboxType, item: SandboxField): Json {
  const pair = (value: Json, editable = false): Json => ({ value, editable });
  const storage = DATA_TYPES[item.dataType].storage;
  const isLink = storage === 'link' || storage === 'links';
  const isList = item.dataType === 'list' || item.dataType === 'status_list';
  return {
    name: pair(item.name.replace(/^sg_/, '').replaceAll('_', ' '), true),
    description: pair('', true),
    entity_type: pair(type.name),
    data_type: pair(item.dataType),
    editable: pair(!item.readOnly),
    mandatory: pair(false),
    unique: pair(item.unique),
    visible: pair(true, true),
    properties: {
      default_value: pair(null),
      summary_default: pair('none', true),
      ...(isLink ? { valid_types: pair([...item.validTypes], true) } : {}),
      ...(isList ? { valid_values: pair([...item.validValues], true) } : {}),
    },
  };
}
