import { DATA_TYPES, isDataTypeName } from '@understudy/domain/data-types/registry';
import { type CachedField, type CachedSchema, type CachedType, isFieldName } from './cached-schema.ts';
import type { SiteSchema } from './site-schema.ts';

/** What a replica never keeps: the log has tables of its own, and per-user fields depend on who asks (protocol §3.4). */
export const NEVER_TYPES: ReadonlySet<string> = new Set(['EventLogEntry']);
const PER_USER_FIELD = /current_user/;

/** @returns whether a field's value depends on who asks. */
export function isPerUser(field: string): boolean {
  return PER_USER_FIELD.test(field);
}

/** @returns the largest schema that can be cached of a site: every type, every field whose data type can be kept. */
export function cachedSchemaFrom(site: SiteSchema): CachedSchema {
  const types = new Map<string, CachedType>();
  for (const [name, siteFields] of site) {
    if (NEVER_TYPES.has(name)) continue;
    const fields = new Map<string, CachedField>();
    for (const field of siteFields.values()) {
      if (field.name === 'id' || field.name === 'type' || isPerUser(field.name)) continue;
      if (!isFieldName(field.name)) continue;
      if (!isDataTypeName(field.dataType) || DATA_TYPES[field.dataType].storage === 'none') continue;
      fields.set(field.name, {
        name: field.name,
        dataType: field.dataType,
        validTypes: field.validTypes,
        absent: false,
      });
    }
    types.set(name, { name, fields });
  }
  return { types };
}
