import type { DataTypeName } from '@understudy/domain/data-types/data-type';
import type { CachedField, CachedType } from './cached-schema.ts';
import type { SiteField } from './site-schema.ts';

/** The fields that the event log keeps of every entry (protocol §6.1), and how. */
const KEPT: Readonly<Record<string, DataTypeName>> = {
  event_type: 'text',
  attribute_name: 'text',
  entity: 'entity',
  project: 'entity',
  user: 'entity',
  meta: 'serializable',
  created_at: 'date_time',
  description: 'text',
  session_uuid: 'uuid',
};

/** @returns EventLogEntry with those of the fields that the site describes in the way in which they are kept. */
export function eventLogType(siteFields: ReadonlyMap<string, SiteField>): CachedType {
  const fields = new Map<string, CachedField>();
  for (const [name, dataType] of Object.entries(KEPT)) {
    const field = siteFields.get(name);
    if (field?.dataType !== dataType) continue;
    fields.set(name, { name, dataType, validTypes: field.validTypes, absent: false });
  }
  return { name: 'EventLogEntry', fields };
}
