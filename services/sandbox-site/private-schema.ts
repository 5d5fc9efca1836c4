import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { Json } from '@understudy/domain/entity';
import type { SandboxField, SandboxSchema, SandboxType } from './sandbox-schema.ts';

/** Fields whose value depends on who reads (protocol §3.4). */
export const isPerUser = (name: string): boolean => name.includes('by_current_user');

/** The field on the other side of a link, by name. */
function inverseOf(schema: SandboxSchema, type: SandboxType, field: SandboxField): string | null {
  if (field.inverse !== null) return field.inverse.field;
  for (const name of field.validTypes) {
    for (const other of schema.get(name)?.fields.values() ?? []) {
      if (other.inverse?.type === type.name && other.inverse.field === field.name) return other.name;
    }
  }
  return null;
}

function describeField(schema: SandboxSchema, type: SandboxType, field: SandboxField): Json {
  const { storage } = DATA_TYPES[field.dataType];
  const isLink = storage === 'link' || storage === 'links';
  return {
    name: field.name,
    display_name: field.displayName,
    data_type: field.dataType,
    entity_type: type.name,
    identifier_column: field.name === type.identifier,
    allowed_entity_types: isLink ? [...field.validTypes] : null,
    inverse_association: isLink ? inverseOf(schema, type, field) : null,
    has_custom_filter: isPerUser(field.name),
    editable: !field.readOnly,
    required: field.mandatory,
    unique: field.unique,
    valid_values: field.validValues.length > 0 ? [...field.validValues] : null,
  };
}

/**
 * The site's private schema, as its page `/page/schema` carries it (protocol §5.8): the first line is a statement of
 * JavaScript, whose argument is JSON.
 */
export function privateSchemaPage(schema: SandboxSchema): string {
  const types = [...schema.values()];
  const document: Json = {
    entity_types: Object.fromEntries(
      types.map((type) => [
        type.name,
        { name: type.name, display_name: type.name, identifier_column: type.identifier },
      ]),
    ),
    entity_fields: Object.fromEntries(
      types.map((type) => [
        type.name,
        Object.fromEntries(
          [...type.fields.values()].map((field) => [field.name, describeField(schema, type, field)]),
        ),
      ]),
    ),
  };
  return `SG.schema = new SG.Schema(${JSON.stringify(document)});\nSG.schema.ready = true;\n`;
}
