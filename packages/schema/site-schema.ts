/** One field of the site's own schema (protocol §5.8). */
export interface SiteField {
  readonly name: string;
  /** As the site calls it: it may be a data type that the project does not know. */
  readonly dataType: string;
  /** For links: the entity types allowed, empty when the site does not say. */
  readonly validTypes: readonly string[];
  /** For lists: the values allowed, empty when the site does not say. */
  readonly validValues: readonly string[];
  readonly editable: boolean;
  readonly unique: boolean;
  readonly defaultValue: unknown;
}

/** The site's schema: entity type → field name → field. `id` and `type` are fields like others where the site lists them. */
export type SiteSchema = ReadonlyMap<string, ReadonlyMap<string, SiteField>>;

export class SiteSchemaError extends Error {
  override readonly name = 'SiteSchemaError';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The `value` of a `{value, editable}` pair, or undefined. */
function pairValue(pairs: unknown, name: string): unknown {
  const pair = isObject(pairs) ? pairs[name] : undefined;
  return isObject(pair) ? pair['value'] : undefined;
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/**
 * Takes the reply of `schema_read` (protocol §5.8): `{Type: {field: descriptor}}`.
 * @throws SiteSchemaError when it is not of that shape.
 */
export function parseSiteSchema(reply: unknown): SiteSchema {
  if (!isObject(reply)) throw new SiteSchemaError('schema_read must give an object of entity types');
  const types = new Map<string, ReadonlyMap<string, SiteField>>();
  for (const [type, fields] of Object.entries(reply)) {
    if (!isObject(fields)) throw new SiteSchemaError(`${type} must be an object of fields`);
    const parsed = new Map<string, SiteField>();
    for (const [name, descriptor] of Object.entries(fields)) {
      const dataType = pairValue(descriptor, 'data_type');
      if (!isObject(descriptor) || typeof dataType !== 'string') {
        throw new SiteSchemaError(`${type}.${name} has no data type`);
      }
      const properties = descriptor['properties'];
      const editable = descriptor['editable'];
      parsed.set(name, {
        name,
        dataType,
        validTypes: strings(pairValue(properties, 'valid_types')),
        validValues: strings(pairValue(properties, 'valid_values')),
        editable: isObject(editable) ? editable['value'] !== false : true,
        unique: pairValue(descriptor, 'unique') === true,
        defaultValue: pairValue(properties, 'default_value') ?? null,
      });
    }
    types.set(type, parsed);
  }
  return types;
}
