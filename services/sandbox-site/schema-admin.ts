import type { DataTypeName } from '@understudy/domain/data-types/data-type';
import { isDataTypeName } from '@understudy/domain/data-types/registry';
import type { EntityRef } from '@understudy/domain/entity';
import { z } from 'zod';
import { addDisplayColumn } from './display-columns.ts';
import { type Actor, type EventLog, wireTime } from './event-log.ts';
import { entityType, type SandboxField, type SandboxType, standardFields } from './sandbox-schema.ts';
import { createField, deleteField, retypeField, updateField } from './schema-change.ts';
import type { SiteData } from './site-data.ts';
import { badRequest } from './site-fault.ts';

const place = { type: z.string(), field: z.string() };
const types = z.array(z.string()).default([]);

/** A change of the schema that an administrator makes on the site's own pages. */
export const schemaChangeSchema = z.discriminatedUnion('change', [
  z
    .object({
      change: z.literal('add'),
      ...place,
      dataType: z.string(),
      validTypes: types,
      validValues: types,
      displayName: z.string().optional(),
    })
    .strict(),
  z.object({ change: z.literal('delete'), ...place }).strict(),
  z.object({ change: z.literal('rename'), ...place, displayName: z.string().min(1) }).strict(),
  z.object({ change: z.literal('retype'), ...place, dataType: z.string(), validTypes: types }).strict(),
  z
    .object({
      change: z.literal('update'),
      ...place,
      validTypes: z.array(z.string()).optional(),
      validValues: z.array(z.string()).optional(),
      description: z.string().optional(),
    })
    .strict(),
  z.object({ change: z.literal('add-type'), type: z.string() }).strict(),
  z.object({ change: z.literal('delete-type'), type: z.string() }).strict(),
]);

type SchemaChange = z.infer<typeof schemaChangeSchema>;

interface Site {
  readonly data: SiteData;
  readonly log: EventLog;
}

function administrator(data: SiteData): EntityRef {
  const person = { type: 'HumanUser', id: 1 };
  return data.find(person) === undefined ? { type: 'ApiUser', id: 1 } : person;
}

function knownDataType(name: string): DataTypeName {
  if (!isDataTypeName(name)) throw badRequest(`no data type ${name}`);
  return name;
}

function fieldOf(type: SandboxType, name: string): SandboxField {
  const found = type.fields.get(name);
  if (found === undefined) throw badRequest(`no field ${type.name}.${name}`);
  return found;
}

/** Makes the change, with the events that a site makes of it. @throws SandboxFault when it cannot be made. */
export function changeSchema(site: Site, change: SchemaChange): void {
  const { data } = site;
  const actor: Actor = { user: administrator(data), sessionUuid: null, sudoActualUser: null };
  if (change.change === 'add-type') {
    if (data.schema.has(change.type)) throw badRequest(`entity type ${change.type} exists`);
    addType(data, actor.user, change.type);
    return;
  }
  const type = data.schema.get(change.type);
  if (type === undefined || type.internal) throw badRequest(`no entity type ${change.type}`);
  switch (change.change) {
    case 'add': {
      if (type.fields.has(change.field)) throw badRequest(`field ${type.name}.${change.field} exists`);
      const { field, validTypes, validValues, displayName } = change;
      createField(site, actor, type, field, knownDataType(change.dataType), {
        validTypes,
        validValues,
        ...(displayName === undefined ? {} : { displayName }),
      });
      return;
    }
    case 'delete':
      deleteField(site, actor, type, fieldOf(type, change.field));
      return;
    case 'rename':
      updateField(site, actor, type, fieldOf(type, change.field), { displayName: change.displayName });
      return;
    case 'retype': {
      const field = fieldOf(type, change.field);
      retypeField(site, actor, type, field, knownDataType(change.dataType), change.validTypes);
      return;
    }
    case 'update': {
      const { validTypes, validValues, description } = change;
      updateField(site, actor, type, fieldOf(type, change.field), {
        ...(validTypes === undefined ? {} : { validTypes }),
        ...(validValues === undefined ? {} : { validValues }),
        ...(description === undefined ? {} : { description }),
      });
      return;
    }
    default:
      data.schema.delete(change.type);
      data.schemaChanged(change.type);
  }
}

/** Switches a type on, with the fields that every type has; no event tells of it. */
function addType(data: SiteData, author: EntityRef, name: string): void {
  const type = entityType(name, standardFields());
  data.schema.set(name, type);
  data.schemaChanged(name);
  for (const field of type.fields.values()) {
    addDisplayColumn(data, type, field, author, wireTime(new Date()));
  }
}
