import { type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import type { Entity, EntityRows } from './entity-table.ts';

/** One entry of the event log (protocol §6.1). */
export interface LoggedEvent {
  readonly id: number;
  readonly eventType: string;
  readonly attribute: string | null;
  readonly entity: EntityRef | null;
  readonly project: EntityRef | null;
  readonly user: EntityRef | null;
  readonly meta: Json;
  readonly createdAt: string;
  readonly description: string | null;
  readonly sessionUuid: string | null;
}

const reference = (ref: EntityRef | null): Json => (ref === null ? null : { type: ref.type, id: ref.id });

/** An event seen as an entity, so that `read` treats it like any other. */
class EventEntity implements Entity {
  readonly type = 'EventLogEntry';
  readonly retired = false;
  readonly #event: LoggedEvent;

  constructor(event: LoggedEvent) {
    this.#event = event;
  }

  get id(): number {
    return this.#event.id;
  }

  stored(name: string): Json {
    const event = this.#event;
    switch (name) {
      case 'event_type':
        return event.eventType;
      case 'attribute_name':
        return event.attribute;
      case 'entity':
        return reference(event.entity);
      case 'project':
        return reference(event.project);
      case 'user':
        return reference(event.user);
      case 'meta':
        return event.meta;
      case 'created_at':
        return event.createdAt;
      case 'description':
        return event.description;
      case 'session_uuid':
        return event.sessionUuid;
      default:
        return null;
    }
  }
}

/** The log of how the seeded studio came to be: derived when read, so that millions of entries cost little. */
export class SeededHistory {
  readonly #entities: Entity[] = [];
  /** The attribute that was set, or null for the entity's New. */
  readonly #attributes: (string | null)[] = [];
  readonly #values: Json[] = [];
  readonly #dataTypes: (string | null)[] = [];
  readonly #user: EntityRef;

  constructor(user: EntityRef) {
    this.#user = user;
  }

  get size(): number {
    return this.#entities.length;
  }

  /** Adds the entry with the next id. */
  add(entity: Entity, attribute: string | null, dataType: string | null, value: Json): void {
    this.#entities.push(entity);
    this.#attributes.push(attribute);
    this.#dataTypes.push(dataType);
    this.#values.push(value);
  }

  /** The entry of an id from 1 to `size`. */
  event(id: number): LoggedEvent | undefined {
    const entity = this.#entities[id - 1];
    if (entity === undefined) return undefined;
    const attribute = this.#attributes[id - 1] ?? null;
    const project = entity.type === 'Project' ? entity : entity.stored('project');
    const action = attribute === null ? 'New' : 'Change';
    return {
      id,
      eventType: `Shotgun_${entity.type}_${action}`,
      attribute,
      entity,
      project: isEntityRef(project) ? project : null,
      user: this.#user,
      meta: this.#meta(entity, attribute, id),
      createdAt: String(entity.stored('created_at')),
      description: `${action} of ${entity.type} ${entity.id}`,
      sessionUuid: null,
    };
  }

  #meta(entity: Entity, attribute: string | null, id: number): Json {
    const about = { entity_type: entity.type, entity_id: entity.id };
    if (attribute === null) return { type: 'new_entity', ...about };
    const value = this.#values[id - 1] ?? null;
    const change = {
      type: 'attribute_change',
      ...about,
      attribute_name: attribute,
      field_data_type: this.#dataTypes[id - 1] ?? null,
      in_create: true,
    };
    return Array.isArray(value)
      ? { ...change, added: value, removed: [] }
      : { ...change, old_value: null, new_value: value };
  }
}

/** Every visible entry of the event log, by id; ids may be missing. */
export class EventTable implements EntityRows {
  #seeded: SeededHistory | null = null;
  readonly #live = new Map<number, LoggedEvent>();
  /** Ids up to this one were purged. */
  #purgedThrough = 0;
  #lastId = 0;

  get size(): number {
    return Math.max(0, (this.#seeded?.size ?? 0) - this.#purgedThrough) + this.#live.size;
  }

  get lastId(): number {
    return this.#lastId;
  }

  /** Sets the entries of the seeded studio, which have the first ids. */
  seed(history: SeededHistory): void {
    this.#seeded = history;
    this.#lastId = Math.max(this.#lastId, history.size);
  }

  publish(event: LoggedEvent): void {
    this.#live.set(event.id, event);
    this.#lastId = Math.max(this.#lastId, event.id);
  }

  /** Forgets the entries up to an id, as a site's retention policy does. */
  purgeThrough(id: number): void {
    this.#purgedThrough = Math.max(this.#purgedThrough, id);
    for (const known of this.#live.keys()) if (known <= this.#purgedThrough) this.#live.delete(known);
  }

  find(id: number): Entity | undefined {
    if (id <= this.#purgedThrough) return undefined;
    const event = this.#live.get(id) ?? this.#seeded?.event(id);
    return event === undefined ? undefined : new EventEntity(event);
  }

  *range(from: number, to: number, descending = false): Iterable<Entity> {
    const [first, last] = [Math.max(1, from, this.#purgedThrough + 1), Math.min(to, this.#lastId)];
    const step = descending ? -1 : 1;
    for (let id = descending ? last : first; id >= first && id <= last; id += step) {
      const entity = this.find(id);
      if (entity !== undefined) yield entity;
    }
  }
}
