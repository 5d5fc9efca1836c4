import type { CachedField, CachedSchema, CachedType } from './cached-schema.ts';

/**
 * Says where the fields of a new schema are kept beside those of the schemas that are kept already. A field whose data
 * type another schema has under the same name gets a column of its own, `<field>$<data type>`: `$` is in no field's
 * name, so it is the name of nothing else, and it is the same whenever it is asked for.
 */
export function withColumns(schema: CachedSchema, kept: readonly CachedSchema[]): CachedSchema {
  const types = new Map<string, CachedType>();
  for (const type of schema.types.values()) {
    const fields = new Map<string, CachedField>();
    for (const field of type.fields.values()) {
      const others = kept.flatMap((other) => other.types.get(type.name)?.fields.get(field.name) ?? []);
      fields.set(field.name, withColumn(field, others));
    }
    types.set(type.name, { name: type.name, fields });
  }
  return { ...schema, types };
}

function withColumn(field: CachedField, others: readonly CachedField[]): CachedField {
  const { column: _, ...plain } = field;
  if (field.absent) return plain;
  const kept = others.filter((other) => !other.absent);
  const same = kept.find((other) => other.dataType === field.dataType);
  const isPlain =
    same === undefined ? kept.every((other) => other.column !== undefined) : same.column === undefined;
  return isPlain ? plain : { ...plain, column: same?.column ?? `${field.name}$${field.dataType}` };
}
