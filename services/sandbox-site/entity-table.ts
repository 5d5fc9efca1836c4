import type { EntityRef, Json } from '@understudy/domain/entity';

/** One entity of the sandbox site: links as plain references, back-references not at all. */
export interface Entity extends EntityRef {
  readonly retired: boolean;
  /** What is stored in a field, null where nothing is. */
  stored(name: string): Json;
}

/** The entities of one type, found by id and walked in id order. */
export interface EntityRows {
  readonly size: number;
  find(id: number): Entity | undefined;
  /** Those with `from` ≤ id ≤ `to`, ascending or descending. */
  range(from: number, to: number, descending?: boolean): Iterable<Entity>;
}

/** Where the values of one type lie: every entity of it keeps an array, so that a million of them fit in memory. */
class Layout {
  readonly type: string;
  readonly #slots = new Map<string, number>();

  constructor(type: string) {
    this.type = type;
  }

  slot(name: string): number | undefined {
    return this.#slots.get(name);
  }

  slotFor(name: string): number {
    const slot = this.#slots.get(name) ?? this.#slots.size;
    this.#slots.set(name, slot);
    return slot;
  }

  get names(): Iterable<string> {
    return this.#slots.keys();
  }
}

export class StoredEntity implements Entity {
  readonly id: number;
  retired = false;
  readonly #layout: Layout;
  readonly #values: Json[] = [];

  constructor(layout: Layout, id: number) {
    this.#layout = layout;
    this.id = id;
  }

  get type(): string {
    return this.#layout.type;
  }

  stored(name: string): Json {
    const slot = this.#layout.slot(name);
    return slot === undefined ? null : (this.#values[slot] ?? null);
  }

  put(name: string, value: Json): void {
    this.#values[this.#layout.slotFor(name)] = value;
  }

  /** Every field that something is stored in. */
  *entries(): Iterable<[name: string, value: Json]> {
    for (const name of this.#layout.names) {
      const value = this.stored(name);
      if (value !== null) yield [name, value];
    }
  }
}

/** The stored entities of one type; ids are dense, so they are the places of an array. */
export class EntityTable implements EntityRows {
  readonly #layout: Layout;
  readonly #byId: (StoredEntity | undefined)[] = [];
  #size = 0;

  constructor(type: string) {
    this.#layout = new Layout(type);
  }

  get size(): number {
    return this.#size;
  }

  get lastId(): number {
    return Math.max(0, this.#byId.length - 1);
  }

  /** Makes an empty entity. @throws RangeError when the id is taken. */
  create(id: number): StoredEntity {
    if (this.#byId[id] !== undefined) throw new RangeError(`${this.#layout.type} ${id} exists`);
    const entity = new StoredEntity(this.#layout, id);
    this.#byId[id] = entity;
    this.#size += 1;
    return entity;
  }

  remove(id: number): void {
    if (this.#byId[id] === undefined) return;
    this.#byId[id] = undefined;
    this.#size -= 1;
  }

  find(id: number): StoredEntity | undefined {
    return this.#byId[id];
  }

  *range(from: number, to: number, descending = false): Iterable<StoredEntity> {
    const [first, last] = [Math.max(1, from), Math.min(to, this.lastId)];
    const step = descending ? -1 : 1;
    for (let id = descending ? last : first; id >= first && id <= last; id += step) {
      const entity = this.#byId[id];
      if (entity !== undefined) yield entity;
    }
  }
}
