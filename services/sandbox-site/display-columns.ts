import type { EntityRef, Json } from '@understudy/domain/entity';
import type { StoredEntity } from './entity-table.ts';
import type { SandboxField, SandboxType } from './sandbox-schema.ts';
import type { SiteData } from './site-data.ts';

/** What the DisplayColumn of a field holds. */
export function columnValues(type: SandboxType, field: SandboxField): Map<string, Json> {
  const { validTypes, validValues, defaultValue, properties, hiddenIn } = field;
  return new Map<string, Json>([
    ['name', field.name],
    ['human_name', field.displayName],
    ['description', field.description === '' ? null : field.description],
    ['entity_type', type.name],
    ['data_type', field.dataType],
    [
      'properties',
      {
        ...properties,
        default_value: defaultValue,
        ...(validTypes.length > 0 ? { valid_types: validTypes } : {}),
        ...(validValues.length > 0 ? { valid_values: validValues } : {}),
        ...(hiddenIn.length > 0 ? { hidden_in_projects: hiddenIn } : {}),
      },
    ],
  ]);
}

/** Adds the DisplayColumn of a field; no event tells of it here. */
export function addDisplayColumn(
  data: SiteData,
  type: SandboxType,
  field: SandboxField,
  author: EntityRef,
  at: string,
): StoredEntity {
  const by = { type: author.type, id: author.id };
  return data.add('DisplayColumn', data.allocateId('DisplayColumn'), [
    ...columnValues(type, field),
    ['created_at', at],
    ['created_by', by],
    ['updated_at', at],
    ['updated_by', by],
  ]);
}

/** Adds the DisplayColumns of the whole schema, as a new site has them. */
export function addDisplayColumns(data: SiteData, author: EntityRef, at: string): void {
  for (const type of data.schema.values()) {
    if (type.internal) continue;
    for (const field of type.fields.values()) addDisplayColumn(data, type, field, author, at);
  }
}

/** The DisplayColumn of a field that is there. @throws RangeError when it has none. */
export function columnOf(data: SiteData, type: string, name: string): StoredEntity {
  for (const column of data.all('DisplayColumn')) {
    const isIt = column.stored('entity_type') === type && column.stored('name') === name;
    if (isIt && !column.retired) return column;
  }
  throw new RangeError(`${type}.${name} has no DisplayColumn`);
}
