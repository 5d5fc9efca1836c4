import type { DataTypeName } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { isEntityRef, type Json } from '@understudy/domain/entity';
import { addDisplayColumn, columnOf, columnValues } from './display-columns.ts';
import type { Entity } from './entity-table.ts';
import { type Actor, type EventDraft, type EventLog, wireTime } from './event-log.ts';
import { acceptValue } from './field-input.ts';
import { field as newField, type SandboxField, type SandboxType } from './sandbox-schema.ts';
import type { SiteData } from './site-data.ts';
import { SandboxFault } from './site-fault.ts';

interface Site {
  readonly data: SiteData;
  readonly log: EventLog;
}

/** Events that a change of the schema makes: they name the DisplayColumn, not the entity type (protocol §6.3). */
class SchemaEvents {
  readonly #site: Site;
  readonly #actor: Actor;
  readonly #drafts: { id: number; draft: EventDraft }[] = [];

  constructor(site: Site, actor: Actor) {
    this.#site = site;
    this.#actor = actor;
  }

  made(column: Entity): void {
    const name = this.#site.data.displayName(column);
    this.#add('New', column, null, { type: 'new_entity' }, `created new Field ${name}`);
  }

  changed(column: Entity, attribute: string, dataType: string, before: Json, after: Json): void {
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    const meta = {
      attribute_name: attribute,
      field_data_type: dataType,
      old_value: before,
      new_value: after,
    };
    const said = `changed ${attribute} of Field ${this.#site.data.displayName(column)}`;
    this.#add('Change', column, attribute, { type: 'attribute_change', ...meta }, said);
  }

  deleted(column: Entity): void {
    const name = this.#site.data.displayName(column);
    const meta = { type: 'entity_retirement', class_name: column.type, display_name: name, id: column.id };
    this.#add('Delete', column, null, meta, `deleted Field ${name}`);
  }

  commit(): void {
    if (!this.#site.log.isSilent()) this.#site.log.commit(this.#actor, this.#drafts);
  }

  #add(
    action: EventDraft['action'],
    column: Entity,
    attribute: string | null,
    meta: Readonly<Record<string, Json>>,
    description: string,
  ): void {
    this.#drafts.push({
      id: this.#site.log.allocate(),
      draft: {
        action,
        entity: { type: column.type, id: column.id },
        attribute,
        project: null,
        meta: { ...meta, entity_type: column.type, entity_id: column.id },
        description,
      },
    });
  }
}

const snake = (type: string): string => type.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toLowerCase();

/**
 * Makes a field. A multi-entity field also makes one on the other side, which the public schema does not link to it
 * (protocol §5.8).
 */
export function createField(
  site: Site,
  actor: Actor,
  type: SandboxType,
  name: string,
  dataType: DataTypeName,
  more: Partial<SandboxField>,
): SandboxField {
  const events = new SchemaEvents(site, actor);
  const made = newField(name, dataType, more);
  const at = wireTime(new Date());
  const put = (owner: SandboxType, item: SandboxField): void => {
    owner.fields.set(item.name, item);
    owner.trash.delete(item.name);
    site.data.schemaChanged(owner.name);
    events.made(addDisplayColumn(site.data, owner, item, actor.user, at));
  };
  put(type, made);
  if (dataType === 'multi_entity' && made.inverse === null) {
    for (const target of made.validTypes) {
      const other = site.data.schema.get(target);
      if (other === undefined) continue;
      const mirror = `${snake(type.name)}_${name}_${snake(type.name)}s`;
      put(
        other,
        newField(mirror, 'multi_entity', {
          displayName: `${type.name}s <-> ${made.displayName}`,
          validTypes: [type.name],
          inverse: { type: type.name, field: name },
        }),
      );
    }
  }
  events.commit();
  return made;
}

/** Changes what a field says of itself: human name, description, properties, allowed types and values. */
export function updateField(
  site: Site,
  actor: Actor,
  type: SandboxType,
  field: SandboxField,
  changes: Partial<Omit<SandboxField, 'name' | 'dataType'>>,
): void {
  const properties = { ...field.properties, ...changes.properties };
  replaceField(site, actor, type, field, { ...field, ...changes, properties });
}

/** Changes the data type; values that the new one does not take are lost. */
export function retypeField(
  site: Site,
  actor: Actor,
  type: SandboxType,
  field: SandboxField,
  dataType: DataTypeName,
  validTypes: readonly string[],
): void {
  const changed = { ...field, dataType, validTypes, validValues: [], defaultValue: null, inverse: null };
  for (const entity of site.data.all(type.name)) {
    const before = entity.stored(field.name);
    if (before !== null) site.data.set(entity, field.name, converted(site.data, type.name, changed, before));
  }
  replaceField(site, actor, type, field, changed);
}

function converted(data: SiteData, type: string, field: SandboxField, value: Json): Json {
  const isLinks = DATA_TYPES[field.dataType].storage === 'links';
  const single: Json = Array.isArray(value) ? (value[0] ?? null) : value;
  const plain: Json = isEntityRef(single) ? data.displayNameOf(single) : single;
  const candidates: Json[] = isLinks ? [value, [value]] : [single, plain, String(plain), Number(plain)];
  for (const candidate of candidates) {
    try {
      return acceptValue(data, type, field, candidate);
    } catch (error) {
      // What the new data type refuses is tried in another form, and lost in the end.
      if (!(error instanceof SandboxFault)) throw error;
    }
  }
  return null;
}

function replaceField(
  site: Site,
  actor: Actor,
  type: SandboxType,
  before: SandboxField,
  after: SandboxField,
): void {
  type.fields.set(after.name, after);
  site.data.schemaChanged(type.name);
  const column = columnOf(site.data, type.name, after.name);
  const events = new SchemaEvents(site, actor);
  const old = columnValues(type, before);
  for (const [name, value] of columnValues(type, after)) {
    events.changed(
      column,
      name,
      name === 'properties' ? 'serializable' : 'text',
      old.get(name) ?? null,
      value,
    );
    site.data.set(column, name, value);
  }
  site.data.set(column, 'updated_at', wireTime(new Date()));
  events.commit();
}

/** Deletes a field, and the one on the other side that was made with it; its name stays taken, its values are gone. */
export function deleteField(site: Site, actor: Actor, type: SandboxType, field: SandboxField): void {
  const events = new SchemaEvents(site, actor);
  const remove = (owner: SandboxType, name: string): void => {
    owner.fields.delete(name);
    owner.trash.add(name);
    site.data.schemaChanged(owner.name);
    for (const entity of site.data.all(owner.name)) {
      if (entity.stored(name) !== null) site.data.set(entity, name, null);
    }
    const column = columnOf(site.data, owner.name, name);
    events.deleted(column);
    site.data.setRetired(column, true);
  };
  remove(type, field.name);
  for (const owner of site.data.schema.values()) {
    for (const mirror of [...owner.fields.values()]) {
      if (mirror.inverse?.type === type.name && mirror.inverse.field === field.name)
        remove(owner, mirror.name);
    }
  }
  events.commit();
}
