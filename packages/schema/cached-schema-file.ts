import { readFile } from 'node:fs/promises';
import { isDataTypeName } from '@understudy/domain/data-types/registry';
import { parse, stringify } from 'yaml';
import { type CachedField, type CachedSchema, type CachedType, isFieldName } from './cached-schema.ts';

/** A schema file that cannot be used; the message names the place. */
export class CachedSchemaError extends Error {
  override readonly name = 'CachedSchemaError';
}

const TYPE_NAME = /^[A-Z][A-Za-z0-9_]*$/;
const COLUMN_NAME = /^[a-z_][a-z0-9_]*\$[a-z_]+$/i;

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseField(place: string, name: string, declared: unknown): CachedField {
  if (!isFieldName(name)) throw new CachedSchemaError(`${place}: not a field name`);
  if (declared === 'absent') return { name, dataType: 'text', validTypes: [], absent: true };
  const { column, ...typed } = isMapping(declared) ? declared : { [String(declared)]: [] };
  const [dataType, validTypes] =
    Object.keys(typed).length === 1 ? (Object.entries(typed)[0] as [string, unknown]) : ['', []];
  if (!isDataTypeName(dataType))
    throw new CachedSchemaError(`${place}: unknown data type ${JSON.stringify(declared)}`);
  if (
    !Array.isArray(validTypes) ||
    !validTypes.every((type) => typeof type === 'string' && TYPE_NAME.test(type))
  ) {
    throw new CachedSchemaError(`${place}: allowed types must be a list of entity types`);
  }
  if (column !== undefined && (typeof column !== 'string' || !COLUMN_NAME.test(column)))
    throw new CachedSchemaError(`${place}: not a column name`);
  return {
    name,
    dataType,
    validTypes: validTypes as string[],
    absent: false,
    ...(column === undefined ? {} : { column }),
  };
}

/** Takes `identifiers: {CustomEntity01: sg_title}`. @throws CachedSchemaError */
function parseIdentifiers(declared: unknown): ReadonlyMap<string, string> {
  if (!isMapping(declared)) throw new CachedSchemaError('identifiers: must be a mapping of entity types');
  const identifiers = new Map<string, string>();
  for (const [type, field] of Object.entries(declared)) {
    if (!TYPE_NAME.test(type)) throw new CachedSchemaError(`identifiers.${type}: not an entity type`);
    if (typeof field !== 'string' || !isFieldName(field))
      throw new CachedSchemaError(`identifiers.${type}: not a field name`);
    identifiers.set(type, field);
  }
  return identifiers;
}

/**
 * Takes a schema file's YAML: `types: {Shot: {code: text, sg_sequence: {entity: [Sequence]}, old: absent}}`, and beside it
 * `identifiers: {CustomEntity01: sg_title}` where display names mirror another field than usual.
 * @throws CachedSchemaError naming the first place that is wrong.
 */
export function parseCachedSchema(yamlText: string): CachedSchema {
  let document: unknown;
  try {
    document = parse(yamlText);
  } catch (error) {
    throw new CachedSchemaError(error instanceof Error ? error.message : String(error));
  }
  return schemaIn(document);
}

/** Reads what `cachedSchemaJson` gives: YAML's parser takes a fifth of a second for as much. @throws as above. */
export function parseCachedSchemaJson(json: string): CachedSchema {
  return schemaIn(JSON.parse(json));
}

function schemaIn(document: unknown): CachedSchema {
  const declared = isMapping(document) ? document['types'] : undefined;
  if (!isMapping(declared)) throw new CachedSchemaError('types: must be a mapping of entity types');
  const types = new Map<string, CachedType>();
  for (const [name, fields] of Object.entries(declared)) {
    if (!TYPE_NAME.test(name)) throw new CachedSchemaError(`types.${name}: not an entity type`);
    if (!isMapping(fields)) throw new CachedSchemaError(`types.${name}: must be a mapping of fields`);
    const parsed = new Map<string, CachedField>();
    for (const [field, value] of Object.entries(fields)) {
      if (field === 'id' || field === 'type') continue;
      parsed.set(field, parseField(`types.${name}.${field}`, field, value));
    }
    types.set(name, { name, fields: parsed });
  }
  const identifiers = isMapping(document) ? document['identifiers'] : undefined;
  return identifiers === undefined ? { types } : { types, identifiers: parseIdentifiers(identifiers) };
}

/** Reads a schema file. @throws CachedSchemaError naming the file and the place. */
export async function readCachedSchemaFile(path: string): Promise<CachedSchema> {
  try {
    return parseCachedSchema(await readFile(path, 'utf8'));
  } catch (error) {
    throw new CachedSchemaError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** @returns the YAML that `parseCachedSchema` reads back to an equal schema. */
export function formatCachedSchema(schema: CachedSchema): string {
  return stringify(documentOf(schema), { flowCollectionPadding: false, lineWidth: 0 });
}

/** @returns JSON that `parseCachedSchemaJson` reads back to an equal schema. */
export function cachedSchemaJson(schema: CachedSchema): string {
  return JSON.stringify(documentOf(schema));
}

function documentOf(schema: CachedSchema): object {
  const types: Record<string, Record<string, unknown>> = {};
  for (const type of schema.types.values()) {
    const fields: Record<string, unknown> = {};
    for (const field of type.fields.values()) {
      const { column } = field;
      fields[field.name] = field.absent
        ? 'absent'
        : field.validTypes.length > 0 || column !== undefined
          ? { [field.dataType]: [...field.validTypes], ...(column === undefined ? {} : { column }) }
          : field.dataType;
    }
    types[type.name] = fields;
  }
  const { identifiers } = schema;
  const named = identifiers === undefined ? {} : { identifiers: Object.fromEntries(identifiers) };
  return { types, ...named };
}
