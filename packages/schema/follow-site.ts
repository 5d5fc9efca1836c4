import { DATA_TYPES, isDataTypeName } from '@understudy/domain/data-types/registry';
import { isPerUser } from './cacheable.ts';
import { type CachedField, type CachedSchema, type CachedType, isFieldName } from './cached-schema.ts';
import type { SiteField, SiteSchema } from './site-schema.ts';

/** How a field of the site is kept, or null where it cannot be. */
function keepable(field: SiteField | undefined): CachedField | null {
  if (field === undefined || !isDataTypeName(field.dataType)) return null;
  if (DATA_TYPES[field.dataType].storage === 'none' || isPerUser(field.name)) return null;
  // One that cannot be kept must not stop all that can.
  if (!isFieldName(field.name)) return null;
  return { name: field.name, dataType: field.dataType, validTypes: field.validTypes, absent: false };
}

/**
 * The cached schema that suits the site as it is now: fields that the site lost are known to be absent, fields of
 * another data type are kept with that, and fields that were made on cached types are taken in where they are wanted.
 * @param made fields that are new on the site, as `Type.field`.
 */
export function followSite(
  declared: CachedSchema,
  site: SiteSchema,
  made: ReadonlySet<string>,
): CachedSchema {
  const types = new Map<string, CachedType>();
  for (const type of declared.types.values()) {
    const siteFields = site.get(type.name);
    if (siteFields === undefined) {
      types.set(type.name, type);
      continue;
    }
    const fields = new Map<string, CachedField>();
    for (const field of type.fields.values()) {
      const followed = followField(field, siteFields.get(field.name));
      if (followed !== null) fields.set(field.name, followed);
    }
    for (const siteField of siteFields.values()) {
      const kept = keepable(siteField);
      if (kept !== null && !fields.has(kept.name) && made.has(`${type.name}.${kept.name}`))
        fields.set(kept.name, kept);
    }
    types.set(type.name, { name: type.name, fields });
  }
  return { ...declared, types };
}

function followField(field: CachedField, site: SiteField | undefined): CachedField | null {
  if (site === undefined) return { name: field.name, dataType: 'text', validTypes: [], absent: true };
  if (!field.absent && site.dataType === field.dataType) return field;
  return keepable(site);
}
