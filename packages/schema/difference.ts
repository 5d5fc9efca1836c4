import type { CachedField, CachedSchema, CachedType } from './cached-schema.ts';
import type { SiteSchema } from './site-schema.ts';

/** One place where the cached schema does not fit the site's. */
export interface SchemaDifference {
  readonly kind: 'missing-type' | 'missing-field' | 'data-type' | 'present' | 'identifier';
  readonly type: string;
  readonly field?: string;
  /** For people. */
  readonly message: string;
}

/**
 * Compares a cached schema with the site's.
 * @returns what does not fit, and the part of the cached schema that does: a field that the site lacks or has with
 *   another data type is left out, so that reads of it pass through; allowed link types are the
 *   site's, and an identifier that the site lacks is the usual one.
 */
export function fitToSite(
  cached: CachedSchema,
  site: SiteSchema,
): { readonly schema: CachedSchema; readonly differences: readonly SchemaDifference[] } {
  const differences: SchemaDifference[] = [];
  const types = new Map<string, CachedType>();
  for (const type of cached.types.values()) {
    const siteFields = site.get(type.name);
    if (siteFields === undefined) {
      differences.push({ kind: 'missing-type', type: type.name, message: `the site has no ${type.name}` });
      continue;
    }
    const fields = new Map<string, CachedField>();
    for (const field of type.fields.values()) {
      const siteField = siteFields.get(field.name);
      const place = { type: type.name, field: field.name };
      if (field.absent) {
        if (siteField === undefined) fields.set(field.name, field);
        else
          differences.push({ ...place, kind: 'present', message: `the site has ${type.name}.${field.name}` });
      } else if (siteField === undefined) {
        differences.push({
          ...place,
          kind: 'missing-field',
          message: `the site has no ${type.name}.${field.name}`,
        });
      } else if (siteField.dataType !== field.dataType) {
        const message = `${type.name}.${field.name} is ${siteField.dataType} on the site, not ${field.dataType}`;
        differences.push({ ...place, kind: 'data-type', message });
      } else {
        const validTypes = siteField.validTypes.length > 0 ? siteField.validTypes : field.validTypes;
        fields.set(field.name, { ...field, validTypes });
      }
    }
    types.set(type.name, { name: type.name, fields });
  }
  if (cached.identifiers === undefined) return { schema: { types }, differences };
  const identifiers = new Map<string, string>();
  for (const [type, field] of cached.identifiers) {
    const siteFields = site.get(type);
    // Of a type that the site lacks nothing has a name.
    if (siteFields === undefined) continue;
    if (siteFields.has(field)) identifiers.set(type, field);
    else {
      const message = `the site has no ${type}.${field}, which its display names are said to mirror`;
      differences.push({ kind: 'identifier', type, field, message });
    }
  }
  return { schema: { types, identifiers }, differences };
}
