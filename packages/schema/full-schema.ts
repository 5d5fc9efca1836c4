import { parse, stringify } from 'yaml';
import { parseSiteSchema, type SiteField, type SiteSchema, SiteSchemaError } from './site-schema.ts';

/** A field of the site's schema with what only the private schema tells (protocol §5.8). */
export interface FullField extends SiteField {
  /** Whether the display name of its entities mirrors this field. */
  readonly isIdentifier: boolean;
  /** The field of the linked type that is the other side of this one. */
  readonly inverse: string | null;
  /** Whether its value depends on who asks, so that it cannot be kept. */
  readonly isPerUser: boolean;
}

export type FullSchema = ReadonlyMap<string, ReadonlyMap<string, FullField>>;

type Mapping = Readonly<Record<string, unknown>>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

const PAGE = /^\s*SG\.schema\s*=\s*new\s+SG\.Schema\((.*)\)\s*;?\s*$/;

/**
 * Takes the page `/page/schema`: its first line is `SG.schema = new SG.Schema({…});`.
 * @returns `entity_fields`: type → field → what the site says of it.
 * @throws SiteSchemaError when it is something else, for instance a login page.
 */
export function parsePrivateSchema(page: string): Readonly<Record<string, Mapping>> {
  const [line = ''] = page.trimStart().split('\n', 1);
  const json = PAGE.exec(line)?.[1];
  if (json === undefined)
    throw new SiteSchemaError('the page holds no schema: its first line is another one');
  let document: unknown;
  try {
    document = JSON.parse(json);
  } catch (error) {
    throw new SiteSchemaError(`the page's schema is not JSON: ${String(error)}`);
  }
  const fields = isMapping(document) ? document['entity_fields'] : undefined;
  if (!isMapping(fields)) throw new SiteSchemaError("the page's schema has no entity_fields");
  return Object.fromEntries(
    Object.entries(fields).flatMap(([type, of]) => (isMapping(of) ? [[type, of]] : [])),
  );
}

/** The public schema with what the private one adds; nothing private where there is none. */
export function mergeSchemas(
  site: SiteSchema,
  privateFields: Readonly<Record<string, Mapping>> = {},
): FullSchema {
  return new Map(
    [...site].map(([type, fields]) => [
      type,
      new Map(
        [...fields].map(([name, field]): [string, FullField] => {
          const more = privateFields[type]?.[name];
          const known: Mapping = isMapping(more) ? more : {};
          const allowed = strings(known['allowed_entity_types']);
          const inverse = known['inverse_association'];
          return [
            name,
            {
              ...field,
              validTypes: field.validTypes.length > 0 ? field.validTypes : allowed,
              isIdentifier: known['identifier_column'] === true,
              inverse: typeof inverse === 'string' ? inverse : null,
              isPerUser: known['has_custom_filter'] === true,
            },
          ];
        }),
      ),
    ]),
  );
}

/** @returns the YAML of a full schema. */
export function formatFullSchema(schema: FullSchema): string {
  return stringify(plainFullSchema(schema), { lineWidth: 0 });
}

/** A full schema as a plain object, for YAML or JSON; `parseFullSchema` reads it back. */
export function plainFullSchema(schema: FullSchema): object {
  const plainField = (field: FullField): object => ({
    data_type: field.dataType,
    ...(field.validTypes.length > 0 ? { allowed_types: [...field.validTypes] } : {}),
    ...(field.validValues.length > 0 ? { values: [...field.validValues] } : {}),
    ...(field.inverse === null ? {} : { inverse: field.inverse }),
    ...(field.isIdentifier ? { identifier: true } : {}),
    ...(field.isPerUser ? { per_user: true } : {}),
    ...(field.editable ? {} : { read_only: true }),
    ...(field.unique ? { unique: true } : {}),
  });
  return {
    types: Object.fromEntries(
      [...schema].map(([type, fields]) => [
        type,
        Object.fromEntries([...fields].map(([name, field]) => [name, plainField(field)])),
      ]),
    ),
  };
}

/**
 * Takes what `understudy schema dump` wrote, as YAML or JSON, or the JSON of a site's `schema_read`.
 * @throws SiteSchemaError naming the place.
 */
export function parseFullSchema(text: string): FullSchema {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    throw new SiteSchemaError(error instanceof Error ? error.message : String(error));
  }
  const types = isMapping(document) ? document['types'] : undefined;
  if (!isMapping(types)) return mergeSchemas(parseSiteSchema(document));
  return new Map(
    Object.entries(types).map(([type, fields]) => {
      if (!isMapping(fields)) throw new SiteSchemaError(`types.${type}: must be a mapping of fields`);
      return [
        type,
        new Map(Object.entries(fields).map(([name, field]) => [name, plainToField(type, name, field)])),
      ];
    }),
  );
}

function plainToField(type: string, name: string, plain: unknown): FullField {
  const dataType = isMapping(plain) ? plain['data_type'] : undefined;
  if (!isMapping(plain) || typeof dataType !== 'string')
    throw new SiteSchemaError(`types.${type}.${name}: has no data_type`);
  const inverse = plain['inverse'];
  return {
    name,
    dataType,
    validTypes: strings(plain['allowed_types']),
    validValues: strings(plain['values']),
    editable: plain['read_only'] !== true,
    unique: plain['unique'] === true,
    defaultValue: null,
    isIdentifier: plain['identifier'] === true,
    inverse: typeof inverse === 'string' ? inverse : null,
    isPerUser: plain['per_user'] === true,
  };
}
