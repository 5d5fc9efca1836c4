import type { CachedField, CachedSchema, CachedType } from './cached-schema.ts';

/** Whatever any of the schemas keeps; of a field that is in several, and of identifiers, the first one's. */
export function unionOf(schemas: readonly CachedSchema[]): CachedSchema {
  const types = new Map<string, Map<string, CachedField>>();
  for (const schema of schemas) {
    for (const type of schema.types.values()) {
      const fields = types.get(type.name) ?? new Map<string, CachedField>();
      types.set(type.name, fields);
      for (const field of type.fields.values()) if (!fields.has(field.name)) fields.set(field.name, field);
    }
  }
  const identifiers = new Map(schemas.toReversed().flatMap((schema) => [...(schema.identifiers ?? [])]));
  return {
    types: new Map([...types].map(([name, fields]) => [name, { name, fields }])),
    ...(identifiers.size === 0 ? {} : { identifiers }),
  };
}

/** The part of a schema whose types and fields are wanted; fields known absent come with their type. */
export function partOf(
  schema: CachedSchema,
  wants: {
    readonly type: (name: string) => boolean;
    readonly field: (type: string, field: CachedField) => boolean;
  },
): CachedSchema {
  const types = new Map<string, CachedType>();
  for (const type of schema.types.values()) {
    if (!wants.type(type.name)) continue;
    const fields = [...type.fields].filter(([, field]) => field.absent || wants.field(type.name, field));
    types.set(type.name, { name: type.name, fields: new Map(fields) });
  }
  return { ...schema, types };
}
