import { isDataTypeName } from '@understudy/domain/data-types/registry';
import type { Json } from '@understudy/domain/entity';
import type { Caller, Site } from '../caller.ts';
import type { SandboxField, SandboxType } from '../sandbox-schema.ts';
import { createField, deleteField, updateField } from '../schema-change.ts';
import { badData, badRequest } from '../site-fault.ts';
import { typedPayload } from './read.ts';
import { projectOf } from './schema.ts';

/** Data types that nobody can make a field of over the API. */
const BUILT_IN_ONLY: ReadonlySet<string> = new Set([
  'addressing',
  'calculated',
  'image',
  'jsonb',
  'password',
  'pivot_column',
  'query',
  'summary',
  'system_task_type',
  'tag_list',
  'url_template',
  'uuid',
]);

type Payload = Readonly<Record<string, Json>> & { type: string };

function propertiesOf(method: string, payload: Payload): Map<string, Json> {
  const items = payload['properties'] ?? [];
  const fits = (item: unknown): boolean =>
    typeof (item as { property_name?: unknown } | null)?.property_name === 'string';
  if (!Array.isArray(items) || !items.every(fits)) {
    throw badRequest(`API ${method}() invalid/missing array 'properties'`);
  }
  const pairs = items as unknown as { property_name: string; value?: Json }[];
  return new Map(pairs.map((item) => [item.property_name, item.value ?? null]));
}

function strings(method: string, name: string, value: Json | undefined): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw badRequest(`API ${method}() invalid array '${name}': ${JSON.stringify(value)}`);
  }
  return value as string[];
}

/** What properties say of a field; those without a place of their own are kept as they are. */
function changesOf(method: string, properties: ReadonlyMap<string, Json>): Partial<SandboxField> {
  const { name, description, default_value, valid_types, valid_values, ...further } =
    Object.fromEntries(properties);
  if (name !== undefined && (typeof name !== 'string' || name.trim() === '')) {
    throw badRequest(`API ${method}() invalid/missing string 'name': ${JSON.stringify(name)}`);
  }
  return {
    ...(typeof name === 'string' ? { displayName: name.trim() } : {}),
    ...(description !== undefined ? { description: String(description ?? '') } : {}),
    ...(default_value !== undefined ? { defaultValue: default_value } : {}),
    ...(valid_types !== undefined ? { validTypes: strings(method, 'valid_types', valid_types) } : {}),
    ...(valid_values !== undefined ? { validValues: strings(method, 'valid_values', valid_values) } : {}),
    ...(Object.keys(further).length > 0 ? { properties: further } : {}),
  };
}

function typeOf(
  site: Site,
  caller: Caller,
  method: string,
  raw: unknown,
): { type: SandboxType; payload: Payload } {
  if (!caller.rules.schema)
    throw badData(`API ${method}() not permitted for this user. Rule: ${caller.rules.code}`);
  const payload = typedPayload(caller.view(method), raw);
  const type = site.data.schema.get(payload.type);
  if (type === undefined || type.internal) throw badRequest(`API ${method}() no type ${payload.type}`);
  return { type, payload };
}

function fieldOf(method: string, type: SandboxType, payload: Payload): SandboxField {
  const name = payload['field_name'];
  const field = typeof name === 'string' ? type.fields.get(name) : undefined;
  if (field === undefined) {
    throw badRequest(`API ${method}() ${type.name}.${String(name)} doesn't exist.`);
  }
  return field;
}

/** `schema_field_create` (protocol §5.8). @returns the new field's name. */
export function schemaFieldCreate(site: Site, caller: Caller, raw: unknown): Json {
  const method = 'schema_field_create';
  const { type, payload } = typeOf(site, caller, method, raw);
  const dataType = payload['data_type'];
  if (typeof dataType !== 'string' || !isDataTypeName(dataType) || BUILT_IN_ONLY.has(dataType)) {
    throw badRequest(`API ${method}() invalid/missing string 'data_type': ${JSON.stringify(dataType)}`);
  }
  const changes = changesOf(method, propertiesOf(method, payload));
  if (changes.displayName === undefined) {
    throw badRequest(`API ${method}() invalid/missing string 'name' in 'properties'`);
  }
  for (const target of changes.validTypes ?? []) {
    if (!site.data.schema.has(target)) throw badRequest(`API ${method}() no entity type '${target}'`);
  }
  return createField(site, caller.actor, type, freeName(type, changes.displayName), dataType, changes).name;
}

/** `My L` → `sg_my_l`; a name that is taken, or was once, gets `_1`, `_2`… */
function freeName(type: SandboxType, displayName: string): string {
  const words = displayName
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '');
  const base = words.startsWith('sg_') ? words : `sg_${words}`;
  const isTaken = (name: string): boolean => type.fields.has(name) || type.trash.has(name);
  if (!isTaken(base)) return base;
  let number = 1;
  while (isTaken(`${base}_${number}`)) number += 1;
  return `${base}_${number}`;
}

/** `schema_field_update`. */
export function schemaFieldUpdate(site: Site, caller: Caller, raw: unknown): Json {
  const method = 'schema_field_update';
  const { type, payload } = typeOf(site, caller, method, raw);
  const field = fieldOf(method, type, payload);
  const projectId = projectOf(site.data, method, payload);
  const properties = propertiesOf(method, payload);
  const visible = properties.get('visible');
  properties.delete('visible');
  if (visible !== undefined) {
    if (projectId === null) throw badRequest(`API ${method}() 'visible' can only be set for a project`);
    const others = field.hiddenIn.filter((id) => id !== projectId);
    updateField(site, caller.actor, type, field, {
      hiddenIn: visible === false ? [...others, projectId] : others,
    });
  }
  const current = type.fields.get(field.name) ?? field;
  if (properties.size > 0) updateField(site, caller.actor, type, current, changesOf(method, properties));
  return true;
}

/** `schema_field_delete`. */
export function schemaFieldDelete(site: Site, caller: Caller, raw: unknown): Json {
  const method = 'schema_field_delete';
  const { type, payload } = typeOf(site, caller, method, raw);
  const field = fieldOf(method, type, payload);
  if (!field.name.startsWith('sg_') && !field.name.includes('_sg_')) {
    throw badRequest(`API ${method}() ${type.name}.${field.name} can not be deleted.`);
  }
  deleteField(site, caller.actor, type, field);
  return true;
}
