import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { type EntityRef, isEntityRef, type Json, refKey } from '@understudy/domain/entity';
import type { Caller, Site } from './caller.ts';
import type { StoredEntity } from './entity-table.ts';
import type { Actor, EventDraft, EventLog } from './event-log.ts';
import { wireTime } from './event-log.ts';
import { acceptValue } from './field-input.ts';
import { acceptLink } from './media/file-links.ts';
import { type FileLink, LINK_FIELD } from './media/media-values.ts';
import { isPerUser } from './private-schema.ts';
import type { SandboxField } from './sandbox-schema.ts';
import type { SiteData } from './site-data.ts';
import { badData, badRequest } from './site-fault.ts';

export type UpdateMode = 'set' | 'add' | 'remove';

/** Types whose retirement takes others along: linked by this field of that type (protocol §3.4). */
const CASCADES: Readonly<Record<string, readonly (readonly [type: string, field: string])[]>> = {
  Shot: [['Version', 'entity']],
  Asset: [['Version', 'entity']],
  Cut: [['CutItem', 'cut']],
  Note: [['Reply', 'entity']],
};

/**
 * One write call of the API: everything it changes, with the events that tell of it; `rollback` takes all of it back
 * (but not the event ids it used), `commit` shows the events.
 */
export class WriteTransaction {
  readonly #data: SiteData;
  readonly #log: EventLog;
  readonly #actor: Actor;
  readonly #silent: boolean;
  readonly #undo: (() => void)[] = [];
  readonly #drafts: { id: number; draft: EventDraft }[] = [];
  readonly #now = wireTime(new Date());

  constructor(site: Site, caller: Caller) {
    this.#data = site.data;
    this.#log = site.log;
    this.#actor = caller.actor;
    this.#silent = !caller.isLogged || site.log.isSilent();
  }

  commit(): void {
    this.#log.commit(this.#actor, this.#drafts);
  }

  rollback(): void {
    for (const undo of this.#undo.reverse()) undo();
  }

  create(type: string, values: ReadonlyMap<string, Json>): StoredEntity {
    const entity = this.#data.add(type, this.#data.allocateId(type), []);
    this.#undo.push(() => this.#data.remove(entity));
    const created = new Map<string, Json>([
      ['created_at', this.#now],
      ['created_by', this.#actor.user as unknown as Json],
      ...this.#defaults(type),
      ...values,
    ]);
    // The project first: every event of the create names it.
    const project = created.get('project');
    if (isEntityRef(project)) this.#store(entity, 'project', { type: project.type, id: project.id });
    this.#event('New', entity, null, { type: 'new_entity', entity_type: type, entity_id: entity.id });
    for (const [name, value] of created) this.setField(entity, name, value, 'set', true);
    this.#touch(entity);
    this.#tasksFromTemplate(entity);
    return entity;
  }

  /** What the schema sets where the caller says nothing (protocol §5.1). */
  *#defaults(type: string): Iterable<[string, Json]> {
    for (const field of this.#data.schema.get(type)?.fields.values() ?? []) {
      const { name, defaultValue, readOnly } = field;
      if (defaultValue !== null && defaultValue !== '' && !readOnly) yield [name, defaultValue];
    }
  }

  /** Sets one field as the API's update does. @throws SandboxFault for unknown, read-only or illegal. */
  setField(entity: StoredEntity, name: string, value: Json, mode: UpdateMode, inCreate = false): void {
    const field = this.#data.field(entity.type, name);
    if (field === undefined) throw badRequest(`API update() ${entity.type}.${name} doesn't exist.`);
    if (field.readOnly || field.name === 'id')
      throw badRequest(`API update() ${entity.type}.${name} is read only.`);
    if (!inCreate && (name === 'created_at' || name === 'created_by')) {
      throw badData(`API update() ${entity.type}.${name} is editable on create only.`);
    }
    if (isPerUser(name)) {
      this.#setOwn(entity, field, acceptValue(this.#data, entity.type, field, value));
      return;
    }
    const accepted = this.#accepted(entity, field, value);
    if (DATA_TYPES[field.dataType].storage === 'links') {
      this.#setLinks(entity, field, accepted as unknown as EntityRef[], mode, inCreate);
    } else this.#setValue(entity, field, accepted, inCreate);
    // Who clears a thumbnail clears the filmstrip too (protocol §3.5).
    const filmstrip = name === 'image' ? this.#data.field(entity.type, 'filmstrip_image') : undefined;
    if (filmstrip !== undefined && !inCreate) this.#setValue(entity, filmstrip, null, false);
    if (!inCreate) this.#touch(entity);
  }

  /** A file that was uploaded: its Attachment, before it is linked to anything. */
  attach(values: ReadonlyMap<string, Json>, link: FileLink): StoredEntity {
    const known = [...values].filter(([name]) => this.#data.field('Attachment', name) !== undefined);
    const attachment = this.create('Attachment', new Map(known));
    this.#store(attachment, LINK_FIELD, link);
    const ref = { type: 'Attachment', id: attachment.id };
    if (this.#data.field('Attachment', 'this_file') !== undefined) this.#store(attachment, 'this_file', ref);
    return attachment;
  }

  /** Sets a field to a file. */
  linkFile(entity: StoredEntity, field: SandboxField, attachmentId: number): void {
    this.#setValue(entity, field, { type: 'Attachment', id: attachmentId }, false);
    this.#touch(entity);
  }

  /** Gives an entity a thumbnail; its id is what the event tells (protocol §6.3). */
  setThumbnail(entity: StoredEntity, field: string, id: number, isTransient: boolean): void {
    const before = entity.stored(field);
    this.#store(entity, field, id);
    this.#thumbnailEvent(entity, field, before, id, isTransient);
    this.#touch(entity);
  }

  thumbnailReady(entity: StoredEntity, field: string, id: number): void {
    this.#thumbnailEvent(entity, field, null, id, false);
    this.#touch(entity);
  }

  #thumbnailEvent(
    entity: StoredEntity,
    field: string,
    before: Json,
    after: Json,
    isTransient: boolean,
  ): void {
    this.#event('Change', entity, field, {
      type: 'attribute_change',
      entity_type: entity.type,
      entity_id: entity.id,
      attribute_name: field,
      field_data_type: 'image',
      old_value: before,
      new_value: after,
      is_transient: isTransient,
    });
  }

  /** A field that is each person's own: only reading is told, without naming the entity in meta (protocol §6.3). */
  #setOwn(entity: StoredEntity, field: SandboxField, value: Json): void {
    const { user } = this.#actor;
    const before = this.#data.perUser(entity, field.name, user);
    this.#data.setPerUser(entity, field.name, user, value);
    this.#undo.push(() => this.#data.setPerUser(entity, field.name, user, before));
    if (field.name !== 'read_by_current_user' || before === value) return;
    const meta = { type: 'attribute_change', attribute_name: field.name, field_data_type: field.dataType };
    this.#event(
      'Change',
      entity,
      field.name,
      { ...meta, old_value: before ?? 'unread', new_value: value },
      'Reading',
    );
  }

  /** What is stored of a value that a caller writes; a link to a file becomes an Attachment (protocol §3.5). */
  #accepted(entity: StoredEntity, field: SandboxField, value: Json): Json {
    const isFile = field.dataType === 'url' && value !== null && this.#data.schema.has('Attachment');
    if (!isFile || typeof value === 'string') return acceptValue(this.#data, entity.type, field, value);
    const link = acceptLink(this.#data, `${entity.type}.${field.name}`, value);
    const project = entity.type === 'Project' ? entity : entity.stored('project');
    const values = new Map<string, Json>([
      ['display_name', link.name],
      ['filename', link.name],
    ]);
    if (isEntityRef(project)) values.set('project', { type: project.type, id: project.id });
    return { type: 'Attachment', id: this.attach(values, link).id };
  }

  /** @returns whether it was alive. */
  retire(entity: StoredEntity): boolean {
    if (entity.retired) return false;
    const date = this.#now.replace('T', ' ').replace('Z', ' UTC');
    const about = this.#about(entity);
    this.#event('Retirement', entity, null, { type: 'entity_retirement', ...about, retirement_date: date });
    this.#retirementDate(entity, null, date);
    this.#data.setRetired(entity, true);
    this.#undo.push(() => {
      this.#data.setRetired(entity, false);
    });
    this.#touch(entity);
    for (const [type, field] of CASCADES[entity.type] ?? []) {
      for (const id of this.#data.linkedFrom(entity, type, field)) {
        const linked = this.#data.stored({ type, id });
        if (linked !== undefined) this.retire(linked);
      }
    }
    return true;
  }

  /** @returns whether it was retired. */
  revive(entity: StoredEntity): boolean {
    if (!entity.retired) return false;
    this.#data.setRetired(entity, false);
    this.#undo.push(() => {
      this.#data.setRetired(entity, true);
    });
    this.#event('Revival', entity, null, { type: 'entity_revival', ...this.#about(entity) });
    this.#retirementDate(entity, this.#now.replace('T', ' ').replace('Z', ' UTC'), null);
    this.#touch(entity);
    return true;
  }

  #about(entity: StoredEntity): Record<string, Json> {
    return {
      class_name: entity.type,
      display_name: this.#data.displayName(entity),
      entity_type: entity.type,
      entity_id: entity.id,
      id: entity.id,
    };
  }

  #retirementDate(entity: StoredEntity, before: Json, after: Json): void {
    this.#event('Change', entity, 'retirement_date', {
      type: 'attribute_change',
      entity_type: entity.type,
      entity_id: entity.id,
      attribute_name: 'retirement_date',
      field_data_type: 'date_time',
      old_value: before,
      new_value: after,
    });
  }

  #setValue(entity: StoredEntity, field: SandboxField, value: Json, inCreate: boolean): void {
    const before = entity.stored(field.name);
    if (!inCreate && JSON.stringify(before) === JSON.stringify(value)) return;
    if (field.unique && value !== null) this.#assertUnique(entity, field, value);
    const wasShown = this.#shown(before);
    this.#store(entity, field.name, value);
    if (inCreate && value === null) return;
    const eventId = this.#event('Change', entity, field.name, {
      type: 'attribute_change',
      entity_type: entity.type,
      entity_id: entity.id,
      attribute_name: field.name,
      field_data_type: field.dataType,
      old_value: inCreate ? null : wasShown,
      new_value: this.#shown(value),
      ...(inCreate ? { in_create: true } : {}),
    });
    if (isEntityRef(before) && !inCreate) this.#backReference(entity, field, before, 'removed', eventId);
    if (isEntityRef(value)) this.#backReference(entity, field, value, 'added', eventId);
  }

  #setLinks(
    entity: StoredEntity,
    field: SandboxField,
    refs: readonly EntityRef[],
    mode: UpdateMode,
    inCreate: boolean,
  ): void {
    const before = this.#data.links(entity, field);
    const has = (list: readonly EntityRef[], ref: EntityRef): boolean =>
      list.some((item) => refKey(item) === refKey(ref));
    const added = mode === 'remove' ? [] : refs.filter((ref) => !has(before, ref));
    const removed = before.filter((ref) =>
      mode === 'set' ? !has(refs, ref) : mode === 'remove' && has(refs, ref),
    );
    if (added.length === 0 && removed.length === 0) return;
    if (field.inverse !== null) {
      for (const ref of added) this.#relink(ref, field, field.inverse.field, entity, 'add');
      for (const ref of removed) this.#relink(ref, field, field.inverse.field, entity, 'remove');
      return;
    }
    const stored = (entity.stored(field.name) ?? []) as unknown as EntityRef[];
    const kept = stored.filter((ref) => !has(removed, ref));
    const after = [...kept, ...added.filter((ref) => !has(kept, ref))].map(({ type, id }) => ({ type, id }));
    this.#store(entity, field.name, after as unknown as Json);
    const eventId = this.#event('Change', entity, field.name, {
      type: 'attribute_change',
      entity_type: entity.type,
      entity_id: entity.id,
      attribute_name: field.name,
      field_data_type: field.dataType,
      added: added.map((ref) => this.#shown(ref as unknown as Json)),
      removed: removed.map((ref) => this.#shown(ref as unknown as Json)),
      ...(inCreate ? { in_create: true } : {}),
    });
    for (const ref of added) this.#backReference(entity, field, ref, 'added', eventId);
    for (const ref of removed) this.#backReference(entity, field, ref, 'removed', eventId);
  }

  /** A write to a back-reference field is a write to the field it mirrors, on the other entity. */
  #relink(
    owner: EntityRef,
    mirror: SandboxField,
    name: string,
    target: StoredEntity,
    mode: 'add' | 'remove',
  ): void {
    const entity = this.#data.stored(owner);
    const field = this.#data.field(owner.type, name);
    if (entity === undefined || field === undefined)
      throw badData(`${owner.type}.${name} is gone (${mirror.name})`);
    const ref = { type: target.type, id: target.id };
    if (DATA_TYPES[field.dataType].storage === 'links') this.#setLinks(entity, field, [ref], mode, false);
    else this.#setValue(entity, field, mode === 'add' ? ref : null, false);
    this.#touch(entity);
  }

  /** Tells of the other side of a link: the event is the target's, its meta the changed entity's (protocol §6.3). */
  #backReference(
    entity: StoredEntity,
    field: SandboxField,
    target: EntityRef,
    change: 'added' | 'removed',
    originalId: number | null,
  ): void {
    const targetEntity = this.#data.stored(target);
    if (targetEntity === undefined) return;
    for (const mirror of this.#data.schema.get(target.type)?.fields.values() ?? []) {
      if (mirror.inverse?.type !== entity.type || mirror.inverse.field !== field.name) continue;
      const link = this.#shown({ type: entity.type, id: entity.id });
      this.#event('Change', targetEntity, mirror.name, {
        type: 'attribute_change',
        actual_attribute_changed: `${entity.type}.${field.name}`,
        original_event_log_entry_id: originalId,
        entity_type: entity.type,
        entity_id: entity.id,
        attribute_name: mirror.name,
        field_data_type: field.dataType,
        added: change === 'added' ? [link] : [],
        removed: change === 'removed' ? [link] : [],
      });
    }
  }

  /** A Shot or Asset made with a task template gets its Tasks, of which the reply says nothing (protocol §5.1). */
  #tasksFromTemplate(entity: StoredEntity): void {
    const template = entity.stored('task_template');
    if (!isEntityRef(template) || entity.type === 'Task') return;
    for (const id of this.#data.linkedFrom(template, 'Task', 'task_template')) {
      const task = this.#data.stored({ type: 'Task', id });
      if (task === undefined || task.retired || isEntityRef(task.stored('entity'))) continue;
      const values = new Map<string, Json>([
        ['entity', { type: entity.type, id: entity.id }],
        ['template_task', { type: 'Task', id }],
      ]);
      for (const name of ['content', 'step', 'sg_status_list', 'project']) {
        const value = name === 'project' ? entity.stored(name) : task.stored(name);
        if (value !== null) values.set(name, value);
      }
      this.create('Task', values);
    }
  }

  #assertUnique(entity: StoredEntity, field: SandboxField, value: Json): void {
    for (const other of this.#data.all(entity.type)) {
      if (other === entity || other.retired || other.stored(field.name) !== value) continue;
      throw badData(
        `API create() CRUD ERROR #61: Create failed for [${entity.type}]. The value for the ${field.name} field is required to be unique. <br>`,
      );
    }
  }

  #shown(value: Json): Json {
    if (!isEntityRef(value)) return value;
    const target = this.#data.find(value);
    return {
      type: value.type,
      id: value.id,
      name: target === undefined ? null : this.#data.displayName(target),
      valid: 'valid',
    };
  }

  #store(entity: StoredEntity, name: string, value: Json): void {
    const before = entity.stored(name);
    this.#data.set(entity, name, value);
    this.#undo.push(() => this.#data.set(entity, name, before));
  }

  #touch(entity: StoredEntity): void {
    this.#store(entity, 'updated_at', this.#now);
    this.#store(entity, 'updated_by', { type: this.#actor.user.type, id: this.#actor.user.id });
  }

  #event(
    action: EventDraft['action'],
    entity: StoredEntity,
    attribute: string | null,
    meta: Readonly<Record<string, Json>>,
    subject: string = entity.type,
  ): number | null {
    if (this.#silent) return null;
    const id = this.#log.allocate();
    const project = entity.type === 'Project' ? entity : entity.stored('project');
    const name = this.#data.displayName(entity) ?? String(entity.id);
    this.#drafts.push({
      id,
      draft: {
        action,
        subject,
        entity: { type: entity.type, id: entity.id },
        attribute,
        project: isEntityRef(project) ? { type: project.type, id: project.id } : null,
        meta,
        description: `${action} ${attribute ?? ''} on ${entity.type} ${name}`.replace('  ', ' '),
      },
    });
    return id;
  }
}
