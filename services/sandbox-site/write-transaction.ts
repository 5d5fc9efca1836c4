import { randomUUID } from 'node:crypto';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { type EntityRef, isEntityRef, type Json, refKey } from '@understudy/domain/entity';
import { tellOtherSide } from './back-reference.ts';
import type { Caller, Site } from './caller.ts';
import { Changes } from './changes.ts';
import { connectionType, linkOfRow, rowsOfLink } from './connections.ts';
import type { StoredEntity } from './entity-table.ts';
import type { LoggedEvent } from './event-table.ts';
import { acceptValue } from './field-input.ts';
import { acceptLink } from './media/file-links.ts';
import { type FileLink, LINK_FIELD } from './media/media-values.ts';
import { isPerUser } from './private-schema.ts';
import { retire, revive } from './retirement.ts';
import type { SandboxField } from './sandbox-schema.ts';
import type { SiteData } from './site-data.ts';
import { badData, badRequest } from './site-fault.ts';
import { setThumbnail, thumbnailReady } from './thumbnail-change.ts';

export type UpdateMode = 'set' | 'add' | 'remove';

/**
 * One write call of the API: everything it changes, with the events that tell of it; `rollback` takes all of it back
 * (but not the event ids it used), `commit` shows the events.
 */
export class WriteTransaction {
  readonly #changes: Changes;
  readonly #data: SiteData;

  constructor(site: Site, caller: Caller) {
    this.#changes = new Changes(site, caller);
    this.#data = site.data;
  }

  commit(): void {
    this.#changes.commit();
  }

  rollback(): void {
    this.#changes.rollback();
  }

  /** @returns the entry's id. */
  addLogEntry(event: Omit<LoggedEvent, 'id'>): number {
    return this.#changes.addLogEntry(event);
  }

  /** @param bySite fields that callers may not write, which the site sets. */
  create(
    type: string,
    values: ReadonlyMap<string, Json>,
    bySite: ReadonlyMap<string, Json> = new Map(),
  ): StoredEntity {
    const entity = this.#data.add(type, this.#data.allocateId(type), []);
    this.#changes.onRollback(() => this.#data.remove(entity));
    const standard: readonly [string, Json][] = [
      ['created_at', this.#changes.now],
      ['created_by', this.#changes.actor.user as unknown as Json],
    ];
    const created = new Map<string, Json>([
      ...standard.filter(([name]) => this.#data.field(type, name) !== undefined),
      ...values,
    ]);
    // The project first: every event of the create names it.
    const project = created.get('project');
    if (isEntityRef(project)) this.#changes.store(entity, 'project', { type: project.type, id: project.id });
    this.#changes.event('New', entity, null, { type: 'new_entity', entity_type: type, entity_id: entity.id });
    for (const [name, value] of created) this.setField(entity, name, value, 'set', true);
    const defaults = [...this.#defaults(type)].filter(([name]) => !values.has(name));
    for (const [name, value] of [...defaults, ...bySite]) {
      const field = this.#data.field(type, name);
      if (field !== undefined) this.#put(entity, field, value, 'set', true);
    }
    this.#changes.touch(entity);
    this.#tasksFromTemplate(entity);
    this.#followRow(entity, 'add');
    return entity;
  }

  /** What the site sets where the caller says nothing (protocol §3.5, §5.1). */
  *#defaults(type: string): Iterable<[string, Json]> {
    for (const field of this.#data.schema.get(type)?.fields.values() ?? []) {
      const { name, dataType, defaultValue, readOnly } = field;
      if (dataType === 'uuid') yield [name, randomUUID()];
      else if (defaultValue !== null && defaultValue !== '' && !readOnly) yield [name, defaultValue];
    }
  }

  /** Sets one field as the API's update does. @throws SandboxFault for unknown, read-only or illegal. */
  setField(entity: StoredEntity, name: string, value: Json, mode: UpdateMode, inCreate = false): void {
    const field = this.#data.field(entity.type, name);
    const method = inCreate ? 'create' : 'update';
    if (field === undefined) throw badRequest(`API ${method}() ${entity.type}.${name} doesn't exist.`);
    if (field.readOnly || field.name === 'id')
      throw badRequest(`API ${method}() ${entity.type}.${name} is read only.`);
    if (!inCreate && (name === 'created_at' || name === 'created_by')) {
      throw badData(`API update() ${entity.type}.${name} is editable on create only.`);
    }
    const connection = this.#data.schema.get(entity.type)?.connection ?? null;
    if (!inCreate && (name === connection?.from || name === connection?.to))
      throw badData(`API update() ${entity.type}.${name} is editable on create only.`);
    if (isPerUser(name)) {
      this.#setOwn(entity, field, acceptValue(this.#data, entity.type, field, value));
      return;
    }
    const accepted = this.#accepted(entity, field, value);
    this.#put(entity, field, accepted, mode, inCreate);
    // Who clears a thumbnail clears the filmstrip too (protocol §3.5).
    const filmstrip = name === 'image' ? this.#data.field(entity.type, 'filmstrip_image') : undefined;
    if (filmstrip !== undefined && !inCreate) this.#setValue(entity, filmstrip, null, false);
    if (!inCreate) this.#changes.touch(entity);
  }

  /** Sets what is known to fit. */
  #put(entity: StoredEntity, field: SandboxField, value: Json, mode: UpdateMode, inCreate: boolean): void {
    if (DATA_TYPES[field.dataType].storage === 'links')
      this.#setLinks(entity, field, value as unknown as EntityRef[], mode, inCreate);
    else this.#setValue(entity, field, value, inCreate);
  }

  /** A file that was uploaded: its Attachment, before it is linked to anything. */
  attach(values: ReadonlyMap<string, Json>, link: FileLink): StoredEntity {
    const known = [...values].filter(([name]) => this.#data.field('Attachment', name) !== undefined);
    const project = known.filter(([name]) => name === 'project');
    const bySite = known.filter(([name]) => name !== 'project');
    const attachment = this.create('Attachment', new Map(project), new Map(bySite));
    this.#changes.store(attachment, LINK_FIELD, link);
    const ref = { type: 'Attachment', id: attachment.id };
    if (this.#data.field('Attachment', 'this_file') !== undefined)
      this.#changes.store(attachment, 'this_file', ref);
    return attachment;
  }

  /** Sets a field to a file. */
  linkFile(entity: StoredEntity, field: SandboxField, attachmentId: number): void {
    this.#setValue(entity, field, { type: 'Attachment', id: attachmentId }, false);
    this.#changes.touch(entity);
  }

  setThumbnail(entity: StoredEntity, field: string, id: number, isTransient: boolean): void {
    setThumbnail(this.#changes, entity, field, id, isTransient);
  }

  thumbnailReady(entity: StoredEntity, field: string, id: number): void {
    thumbnailReady(this.#changes, entity, field, id);
  }

  /** A field that is each person's own: only reading is told, without naming the entity in meta (protocol §6.3). */
  #setOwn(entity: StoredEntity, field: SandboxField, value: Json): void {
    const { user } = this.#changes.actor;
    const before = this.#data.perUser(entity, field.name, user);
    this.#data.setPerUser(entity, field.name, user, value);
    this.#changes.onRollback(() => this.#data.setPerUser(entity, field.name, user, before));
    if (field.name !== 'read_by_current_user' || before === value) return;
    const meta = { type: 'attribute_change', attribute_name: field.name, field_data_type: field.dataType };
    this.#changes.event(
      'Change',
      entity,
      field.name,
      { ...meta, old_value: before ?? 'unread', new_value: value },
      'Reading',
    );
  }

  /** What is stored of a value that a caller writes; a link to a file becomes an Attachment (protocol §3.5). */
  #accepted(entity: StoredEntity, field: SandboxField, value: Json): Json {
    // The one url that is bare text (protocol §3.5).
    const isText = entity.type === 'Project' && field.name === 'landing_page_url';
    const isFile = field.dataType === 'url' && value !== null && this.#data.schema.has('Attachment');
    if (!isFile || isText) return acceptValue(this.#data, entity.type, field, value);
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
    const wasAlive = retire(this.#changes, entity);
    if (wasAlive) this.#followRow(entity, 'remove');
    return wasAlive;
  }

  /** @returns whether it was retired. */
  revive(entity: StoredEntity): boolean {
    const wasRetired = revive(this.#changes, entity);
    if (wasRetired) this.#followRow(entity, 'add');
    return wasRetired;
  }

  #setValue(entity: StoredEntity, field: SandboxField, value: Json, inCreate: boolean): void {
    const before = entity.stored(field.name);
    if (!inCreate && JSON.stringify(before) === JSON.stringify(value)) return;
    if (field.unique && value !== null) this.#assertUnique(entity, field, value, inCreate);
    const wasShown = this.#changes.shown(before);
    this.#changes.store(entity, field.name, value);
    if (inCreate && value === null) return;
    const eventId = this.#changes.event('Change', entity, field.name, {
      type: 'attribute_change',
      entity_type: entity.type,
      entity_id: entity.id,
      attribute_name: field.name,
      field_data_type: field.dataType,
      old_value: inCreate ? null : wasShown,
      new_value: this.#changes.shown(value),
      ...(inCreate ? { in_create: true } : {}),
    });
    if (isEntityRef(before) && !inCreate) this.#tellOtherSides(entity, field, [before], 'removed', eventId);
    if (isEntityRef(value)) this.#tellOtherSides(entity, field, [value], 'added', eventId);
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
    this.#changes.store(entity, field.name, after as unknown as Json);
    const eventId = this.#changes.event('Change', entity, field.name, {
      type: 'attribute_change',
      entity_type: entity.type,
      entity_id: entity.id,
      attribute_name: field.name,
      field_data_type: field.dataType,
      added: this.#changes.allShown(added),
      removed: this.#changes.allShown(removed),
      ...(inCreate ? { in_create: true } : {}),
    });
    this.#tellOtherSides(entity, field, added, 'added', eventId);
    this.#tellOtherSides(entity, field, removed, 'removed', eventId);
    this.#followList(entity, field, added, removed);
  }

  /** Rows of a connection type come and go with the links that they stand for… */
  #followList(
    entity: StoredEntity,
    field: SandboxField,
    added: readonly EntityRef[],
    removed: readonly EntityRef[],
  ): void {
    const type = connectionType(this.#data.schema, entity.type, field.name);
    if (type === null) return;
    const { from, to } = type.connection;
    const owner = { type: entity.type, id: entity.id };
    for (const { type: targetType, id } of added) {
      const target = { type: targetType, id };
      if (rowsOfLink(this.#data, type, owner, target).length > 0) continue;
      this.create(
        type.name,
        new Map([
          [from, owner],
          [to, target],
        ]),
      );
    }
    for (const target of removed)
      for (const row of rowsOfLink(this.#data, type, owner, target)) retire(this.#changes, row);
  }

  /** …and the links with the rows. */
  #followRow(row: StoredEntity, mode: 'add' | 'remove'): void {
    const link = linkOfRow(this.#data, row);
    if (link === null) return;
    this.#setLinks(link.owner, link.field, [link.target], mode, false);
    this.#changes.touch(link.owner);
  }

  #tellOtherSides(
    entity: StoredEntity,
    field: SandboxField,
    targets: readonly EntityRef[],
    change: 'added' | 'removed',
    originalId: number | null,
  ): void {
    for (const target of targets) tellOtherSide(this.#changes, { entity, field, target, change, originalId });
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
    this.#changes.touch(entity);
  }

  /** A Shot or Asset made with a task template gets its Tasks, of which the reply says nothing (protocol §5.1). */
  #tasksFromTemplate(entity: StoredEntity): void {
    const template = entity.stored('task_template');
    if (!isEntityRef(template) || entity.type === 'Task') return;
    for (const id of this.#data.linkedFrom(template, 'Task', 'task_template')) {
      const task = this.#data.stored({ type: 'Task', id });
      if (task === undefined || task.retired || isEntityRef(task.stored('entity'))) continue;
      const values = new Map<string, Json>([['entity', { type: entity.type, id: entity.id }]]);
      for (const name of ['content', 'step', 'sg_status_list', 'project']) {
        const value = name === 'project' ? entity.stored(name) : task.stored(name);
        if (value !== null) values.set(name, value);
      }
      this.create('Task', values, new Map([['template_task', { type: 'Task', id }]]));
    }
  }

  #assertUnique(entity: StoredEntity, field: SandboxField, value: Json, inCreate: boolean): void {
    const failed = inCreate
      ? 'API create() CRUD ERROR #61: Create failed'
      : 'API update() CRUD ERROR #51: Update failed';
    for (const other of this.#data.all(entity.type)) {
      if (other === entity || other.retired || other.stored(field.name) !== value) continue;
      throw badData(
        `${failed} for [${entity.type}]. The value for the ${field.displayName} field is required to be unique. <br>`,
      );
    }
  }
}
