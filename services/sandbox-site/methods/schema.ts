import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { SandboxField, SandboxType } from '../sandbox-schema.ts';
import type { SiteData } from '../site-data.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';
import { typedPayload } from './read.ts';

/** A field's descriptor as `schema_read` gives it, on the whole site or in one project (protocol §5.8). */
function describeField(type: SandboxType, item: SandboxField, projectId: number | null): Json {
  const pair = (value: Json, editable = false): Json => ({ value, editable });
  const storage = DATA_TYPES[item.dataType].storage;
  const isLink = storage === 'link' || storage === 'links' || item.dataType === 'tag_list';
  const isList = item.dataType === 'list' || item.dataType === 'status_list';
  const { valid_types: _types, valid_values: _values, ...further } = item.properties;
  const more = Object.entries(further).map(([name, value]) => [name, pair(value, true)]);
  return {
    name: pair(item.displayName, true),
    description: pair(item.description, true),
    entity_type: pair(type.name),
    data_type: pair(item.dataType),
    editable: pair(!item.readOnly),
    mandatory: pair(item.mandatory),
    unique: pair(item.unique),
    visible: pair(projectId === null || !item.hiddenIn.includes(projectId), true),
    properties: {
      default_value: pair(item.defaultValue, item.dataType === 'checkbox' || isList),
      summary_default: pair('none', true),
      ...(isLink ? { valid_types: pair([...item.validTypes], true) } : {}),
      ...(item.dataType === 'url' ? { open_in_new_window: pair(true, true) } : {}),
      ...(isList ? { valid_values: pair([...item.validValues], true) } : {}),
      ...Object.fromEntries(more),
    },
  };
}

function describeFields(type: SandboxType, projectId: number | null): Json {
  return Object.fromEntries(
    [...type.fields.values()].map((item) => [item.name, describeField(type, item, projectId)]),
  );
}

/** The project that a schema call is about. @throws SandboxFault when there is none such. */
export function projectOf(data: SiteData, method: string, payload: unknown): number | null {
  const project = (payload as { project?: unknown } | null | undefined)?.project;
  if (project === undefined || project === null) return null;
  if (!isEntityRef(project) || project.type !== 'Project' || data.find(project) === undefined) {
    throw badRequest(`API ${method}() invalid/missing entity hash 'project': ${JSON.stringify(project)}`);
  }
  return project.id;
}

const shown = (data: SiteData): SandboxType[] => [...data.schema.values()].filter((type) => !type.internal);

/** `schema_read` (protocol §5.8). */
export function schemaRead(data: SiteData, payload: unknown): Json {
  const projectId = projectOf(data, 'schema_read', payload);
  return Object.fromEntries(shown(data).map((type) => [type.name, describeFields(type, projectId)]));
}

/** `schema_entity_read`. */
export function schemaEntityRead(data: SiteData, payload: unknown): Json {
  projectOf(data, 'schema_entity_read', payload);
  const pair = (value: Json): Json => ({ value, editable: false });
  return Object.fromEntries(shown(data).map(({ name }) => [name, { name: pair(name), visible: pair(true) }]));
}

/** `schema_field_read`: every field of a type, or one. */
export function schemaFieldRead(view: SiteView, rawPayload: unknown): Json {
  const { data } = view;
  const payload = typedPayload(view, rawPayload);
  const projectId = projectOf(data, 'schema_field_read', payload);
  const type = data.schema.get(payload.type);
  if (type === undefined) throw badRequest(`API schema_field_read() no type ${payload.type}`);
  const name = payload['field_name'];
  if (typeof name !== 'string') return describeFields(type, projectId);
  const field = type.fields.get(name);
  if (field === undefined) throw badRequest(`API schema_field_read() ${payload.type}.${name} doesn't exist.`);
  return { [name]: describeField(type, field, projectId) };
}
