import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { EntityLink, EntityRef, Json } from '@understudy/domain/entity';
import { isEntityRef, refKey } from '@understudy/domain/entity';
import type { SandboxField, SandboxSchema } from './sandbox-schema.ts';

/** One entity as the sandbox keeps it: links as plain references, back-references not at all. */
export interface Entity {
  readonly type: string;
  readonly id: number;
  retired: boolean;
  readonly values: Map<string, Json>;
}

/** Everything the sandbox site holds besides its event log, with the queries that everybody needs. */
export class SiteData {
  readonly schema: SandboxSchema;
  readonly #entities = new Map<string, Map<number, Entity>>();
  /** `Task.entity` → key of target → ids of the Tasks that link to it, retired ones too. */
  readonly #linkedFrom = new Map<string, Map<string, Set<number>>>();
  readonly #lastIds = new Map<string, number>();

  constructor(schema: SandboxSchema) {
    this.schema = schema;
    for (const type of schema.keys()) this.#entities.set(type, new Map());
  }

  /** Takes the next id of a type; ids are never used twice, even when what took them is rolled back. */
  allocateId(type: string): number {
    const id = (this.#lastIds.get(type) ?? 0) + 1;
    this.#lastIds.set(type, id);
    return id;
  }

  add(entity: Entity): void {
    const ofType = this.#entities.get(entity.type) ?? new Map<number, Entity>();
    this.#entities.set(entity.type, ofType.set(entity.id, entity));
    this.#lastIds.set(entity.type, Math.max(entity.id, this.#lastIds.get(entity.type) ?? 0));
    for (const [name, value] of entity.values) this.#index(entity, name, value, 'add');
  }

  /** Takes a create back. */
  remove(entity: Entity): void {
    for (const [name, value] of entity.values) this.#index(entity, name, value, 'delete');
    this.#entities.get(entity.type)?.delete(entity.id);
  }

  find(ref: EntityRef): Entity | undefined {
    return this.#entities.get(ref.type)?.get(ref.id);
  }

  /** Every entity of a type, retired ones too, by ascending id of creation. */
  all(type: string): Iterable<Entity> {
    return this.#entities.get(type)?.values() ?? [];
  }

  counts(): Record<string, number> {
    return Object.fromEntries([...this.#entities].map(([type, ofType]) => [type, ofType.size]));
  }

  field(type: string, name: string): SandboxField | undefined {
    return this.schema.get(type)?.fields.get(name);
  }

  /** Sets what is stored; links must be plain references. */
  set(entity: Entity, name: string, value: Json): void {
    this.#index(entity, name, entity.values.get(name) ?? null, 'delete');
    entity.values.set(name, value);
    this.#index(entity, name, value, 'add');
  }

  /** The value as a read gives it: dead links gone, lists ordered by id, back-references computed (protocol §3.4, §3.5). */
  value(entity: Entity, name: string): Json {
    if (name === 'id') return entity.id;
    if (name === 'type') return entity.type;
    if (name === 'cached_display_name') return this.displayName(entity);
    const field = this.field(entity.type, name);
    if (field === undefined) return null;
    if (name === 'name' && field.readOnly) return this.displayName(entity);
    const { storage } = DATA_TYPES[field.dataType];
    if (storage === 'links') return this.links(entity, field) as unknown as Json;
    const stored = entity.values.get(name) ?? null;
    if (storage === 'link') return this.#link(stored) as unknown as Json;
    if (field.dataType === 'checkbox') return stored ?? false;
    if (field.dataType === 'password') return '*******';
    return stored;
  }

  /** What a multi-entity field holds, alive, ordered by id and then type. */
  links(entity: Entity, field: SandboxField): EntityLink[] {
    const refs =
      field.inverse === null ? entity.values.get(field.name) : this.#sources(entity, field.inverse);
    const links = (Array.isArray(refs) ? refs : []).flatMap((ref) => this.#link(ref) ?? []);
    return links.sort((a, b) => a.id - b.id || (a.type < b.type ? -1 : 1));
  }

  /** Ids of the entities whose `type.field` links to the entity, retired ones too. */
  linkedFrom(target: EntityRef, type: string, field: string): readonly number[] {
    return [...(this.#linkedFrom.get(`${type}.${field}`)?.get(refKey(target)) ?? [])];
  }

  displayName(entity: Entity): string | null {
    const text = (name: string): string => String(entity.values.get(name) ?? '');
    if (entity.type === 'HumanUser' || entity.type === 'ApiUser') {
      return `${text('firstname')} ${text('lastname')}`.trim() || null;
    }
    if (entity.type === 'Delivery') return `#${entity.id}: ${text('title')}`;
    const value = entity.values.get(this.schema.get(entity.type)?.identifier ?? 'code');
    return typeof value === 'string' ? value : null;
  }

  /** The display name of what a reference leads to, null where that is gone. */
  displayNameOf(ref: EntityRef): string | null {
    const target = this.find(ref);
    return target === undefined || target.retired ? null : this.displayName(target);
  }

  #sources(target: EntityRef, inverse: { type: string; field: string }): Json[] {
    return this.linkedFrom(target, inverse.type, inverse.field).map((id) => ({ type: inverse.type, id }));
  }

  #link(ref: Json): EntityLink | null {
    if (!isEntityRef(ref)) return null;
    const target = this.find(ref);
    if (target === undefined || target.retired) return null;
    return { type: ref.type, id: ref.id, name: this.displayName(target) };
  }

  #index(entity: Entity, name: string, value: Json, change: 'add' | 'delete'): void {
    const refs: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const ref of refs) {
      if (!isEntityRef(ref)) continue;
      const path = `${entity.type}.${name}`;
      const targets = this.#linkedFrom.get(path) ?? new Map<string, Set<number>>();
      this.#linkedFrom.set(path, targets);
      const sources = targets.get(refKey(ref)) ?? new Set<number>();
      targets.set(refKey(ref), sources);
      sources[change](entity.id);
    }
  }
}
