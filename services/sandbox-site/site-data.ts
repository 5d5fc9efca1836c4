import type { EntityLink, EntityRef, Json } from '@understudy/domain/entity';
import { isEntityRef, refKey } from '@understudy/domain/entity';
import { type Entity, type EntityRows, EntityTable, type StoredEntity } from './entity-table.ts';
import { EventTable, type LoggedEvent } from './event-table.ts';
import { type JournalRecord, storedType } from './journal.ts';
import { LinkIndex } from './link-index.ts';
import type { SandboxField, SandboxSchema } from './sandbox-schema.ts';

/** Everything the sandbox site holds, as it is stored; what a caller sees of it is a SiteView. */
export class SiteData {
  readonly schema: SandboxSchema;
  readonly events = new EventTable();
  /** Is told of every change, once the site was seeded; null where nobody keeps them. */
  journal: ((record: JournalRecord) => void) | null = null;
  readonly #tables = new Map<string, EntityTable>();
  readonly #lastIds = new Map<string, number>();
  readonly #links = new LinkIndex((type) => this.rows(type));

  constructor(schema: SandboxSchema) {
    this.schema = schema;
  }

  /** Takes the next id of a type; ids are never used twice, even when what took them is rolled back. */
  allocateId(type: string): number {
    const id = (this.#lastIds.get(type) ?? 0) + 1;
    this.#lastIds.set(type, id);
    this.journal?.(['taken', type, id]);
    return id;
  }

  /** Highest id that was taken so far. */
  lastId(type: string): number {
    return this.#lastIds.get(type) ?? 0;
  }

  /** Says that ids up to this one are taken. */
  takeIds(type: string, through: number): void {
    this.#lastIds.set(type, Math.max(through, this.lastId(type)));
  }

  add(type: string, id: number, values: Iterable<readonly [string, Json]>): StoredEntity {
    const entity = this.#table(type).create(id);
    this.journal?.(['create', type, id]);
    this.takeIds(type, id);
    for (const [name, value] of values) this.set(entity, name, value);
    return entity;
  }

  /** Takes a create back. */
  remove(entity: StoredEntity): void {
    for (const [name] of [...entity.entries()]) this.set(entity, name, null);
    this.#table(entity.type).remove(entity.id);
    this.journal?.(['remove', entity.type, entity.id]);
  }

  /** The entities of a type, retired ones too. */
  rows(type: string): EntityRows {
    return type === 'EventLogEntry' ? this.events : this.#table(type);
  }

  /** Every stored entity of a type, retired ones too, by ascending id. */
  all(type: string): Iterable<StoredEntity> {
    return this.#table(type).range(1, Number.MAX_SAFE_INTEGER);
  }

  find(ref: EntityRef): Entity | undefined {
    return this.rows(ref.type).find(ref.id);
  }

  /** The entity to write to; entries of the event log are none. */
  stored(ref: EntityRef): StoredEntity | undefined {
    return this.#tables.get(ref.type)?.find(ref.id);
  }

  counts(): Record<string, number> {
    const types = [...this.schema.keys()];
    return Object.fromEntries(types.map((type) => [type, this.rows(type).size]));
  }

  field(type: string, name: string): SandboxField | undefined {
    return this.schema.get(type)?.fields.get(name);
  }

  /** Sets what is stored; links must be plain references. */
  set(entity: StoredEntity, name: string, value: Json): void {
    const before = entity.stored(name);
    entity.put(name, value);
    this.#links.changed(entity, name, before, value);
    this.journal?.(['set', entity.type, entity.id, name, value]);
  }

  setRetired(entity: StoredEntity, retired: boolean): void {
    entity.retired = retired;
    this.journal?.(['retired', entity.type, entity.id, retired]);
  }

  /** Shows an entry of the event log. */
  publish(event: LoggedEvent): void {
    this.events.publish(event);
    this.journal?.(['event', event]);
  }

  /** Forgets all but the newest `keep` entries of the event log. */
  purgeEvents(keep: number): void {
    const through = this.events.lastId - keep;
    if (through <= 0) return;
    this.events.purgeThrough(through);
    this.journal?.(['purged', through]);
  }

  /** To be told after a type was changed, made or deleted. */
  schemaChanged(name: string): void {
    const type = this.schema.get(name);
    this.journal?.(['schema', name, type === undefined ? null : storedType(type)]);
  }

  /** Sets what one person has in a field that is each person's own. */
  setPerUser(entity: StoredEntity, name: string, user: EntityRef, value: Json): void {
    const place = `_${name}`;
    const before = (entity.stored(place) ?? {}) as Readonly<Record<string, Json>>;
    this.set(entity, place, { ...before, [refKey(user)]: value });
  }

  /** What one person has in such a field. */
  perUser(entity: Entity, name: string, user: EntityRef): Json {
    const values = (entity.stored(`_${name}`) ?? {}) as Readonly<Record<string, Json>>;
    return values[refKey(user)] ?? null;
  }

  /** What a multi-entity field holds, alive, ordered by id and then type. */
  links(entity: Entity, field: SandboxField): EntityLink[] {
    const refs = field.inverse === null ? entity.stored(field.name) : this.#sources(entity, field.inverse);
    const links = (Array.isArray(refs) ? refs : []).flatMap((ref) => this.link(ref) ?? []);
    return links.sort((a, b) => a.id - b.id || (a.type < b.type ? -1 : 1));
  }

  /** A stored link with its name; null where it leads to nothing alive (protocol §3.4). */
  link(ref: Json): EntityLink | null {
    if (!isEntityRef(ref)) return null;
    const target = this.find(ref);
    if (target === undefined || target.retired) return null;
    return { type: ref.type, id: ref.id, name: this.displayName(target) };
  }

  /** Ids of the entities whose `type.field` links to the target, retired ones too. */
  linkedFrom(target: EntityRef, type: string, field: string): readonly number[] {
    return this.#links.ids(type, field, target);
  }

  displayName(entity: Entity): string | null {
    const text = (name: string): string => String(entity.stored(name) ?? '');
    if (entity.type === 'HumanUser' || entity.type === 'ApiUser') {
      return `${text('firstname')} ${text('lastname')}`.trim() || text('name') || null;
    }
    if (entity.type === 'Delivery') return `#${entity.id}: ${text('title')}`;
    const value = entity.stored(this.schema.get(entity.type)?.identifier ?? 'code');
    return typeof value === 'string' ? value : null;
  }

  /** The display name of what a reference leads to, null where that is gone. */
  displayNameOf(ref: EntityRef): string | null {
    return this.link(ref as unknown as Json)?.name ?? null;
  }

  #sources(target: EntityRef, inverse: { type: string; field: string }): Json[] {
    return this.linkedFrom(target, inverse.type, inverse.field).map((id) => ({ type: inverse.type, id }));
  }

  #table(type: string): EntityTable {
    const table = this.#tables.get(type) ?? new EntityTable(type);
    this.#tables.set(type, table);
    return table;
  }
}
