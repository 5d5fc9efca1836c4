import type { Json } from '@understudy/domain/entity';
import { describeField } from '../sandbox-schema.ts';
import type { SiteData } from '../site-data.ts';
import { badRequest } from '../site-fault.ts';
import { typedPayload } from './read.ts';

/** `schema_read` (protocol §5.8). */
export function schemaRead(data: SiteData): Json {
  const types: Record<string, Json> = {};
  for (const type of data.schema.values()) {
    types[type.name] = Object.fromEntries(
      [...type.fields.values()].map((field) => [field.name, describeField(type, field)]),
    );
  }
  return types;
}

/** `schema_entity_read`. */
export function schemaEntityRead(data: SiteData): Json {
  const pair = (value: Json): Json => ({ value, editable: false });
  return Object.fromEntries(
    [...data.schema.keys()].map((name) => [name, { name: pair(name), visible: pair(true) }]),
  );
}

/** `schema_field_read`: every field of a type, or one. */
export function schemaFieldRead(data: SiteData, rawPayload: unknown): Json {
  const payload = typedPayload(data, 'schema_field_read', rawPayload);
  const type = data.schema.get(payload.type);
  if (type === undefined) throw badRequest(`API schema_field_read() no type ${payload.type}`);
  const name = payload['field_name'];
  if (typeof name !== 'string') {
    return Object.fromEntries(
      [...type.fields.values()].map((field) => [field.name, describeField(type, field)]),
    );
  }
  const field = type.fields.get(name);
  if (field === undefined) throw badRequest(`API schema_field_read() ${payload.type}.${name} doesn't exist.`);
  return { [name]: describeField(type, field) };
}
