import { cachedSchemaFrom } from '@understudy/schema/cacheable';
import type { CachedField, CachedSchema } from '@understudy/schema/cached-schema';
import type { Database, DatabaseOptions } from '@understudy/store/database';
import { readGenerations } from '@understudy/store/generations';
import { moveGeneration } from './move-generation.ts';
import type { Replica } from './replica.ts';
import { readSiteSchema } from './site-schema.ts';

/** A field that cannot be added; the message says why, for people. */
export class FieldNotAddable extends Error {
  override readonly name = 'FieldNotAddable';
}

function withField(schema: CachedSchema, typeName: string, field: CachedField): CachedSchema {
  const fields = new Map(schema.types.get(typeName)?.fields).set(field.name, field);
  return { ...schema, types: new Map(schema.types).set(typeName, { name: typeName, fields }) };
}

/**
 * Begins to keep one more field of the site: a generation of the newest one and that field, which goes on by itself
 * (followed at once, scanned, then served).
 * @param path `Type.field`.
 * @returns the new generation's id; null when the field is kept already.
 * @throws FieldNotAddable, GenerationUnderWay, SiteUnavailable
 */
export async function addField(
  options: { readonly db: Database; readonly databaseOptions: DatabaseOptions; readonly replica: Replica },
  path: string,
): Promise<number | null> {
  const { db, databaseOptions, replica } = options;
  const [typeName = '', fieldName = ''] = path.split('.');
  const newest = (await readGenerations(db.pool)).find(({ state }) => state !== 'retired');
  if (newest === undefined) throw new FieldNotAddable('nothing is kept yet');
  const known = newest.declared.types.get(typeName)?.fields.get(fieldName);
  if (known?.absent === false && newest.schema.types.get(typeName)?.fields.has(fieldName)) return null;
  const reading = await readSiteSchema(
    { db, site: replica.site, siteUrl: replica.siteUrl },
    { priority: 'poll' },
  );
  const siteField = reading.schema.get(typeName)?.get(fieldName);
  if (siteField === undefined) throw new FieldNotAddable(`the site has no ${path}`);
  const field = cachedSchemaFrom(reading.schema).types.get(typeName)?.fields.get(fieldName);
  if (field === undefined) {
    throw new FieldNotAddable(`${path} is ${siteField.dataType} on the site, which is never kept`);
  }
  const declared = withField(newest.declared, typeName, field);
  return moveGeneration({
    db,
    databaseOptions,
    declared,
    reading,
    source: `added ${path}`,
    isAutomatic: true,
  });
}
