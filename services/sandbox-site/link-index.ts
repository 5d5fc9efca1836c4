import { type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import type { Entity, EntityRows } from './entity-table.ts';

/** Ids of those that link to one target: one alone, or several. */
type Sources = number | Set<number>;

/** Who links to whom by one field: target type → target id → ids, retired ones too. */
class FieldLinks {
  readonly #byType = new Map<string, Map<number, Sources>>();

  add(target: EntityRef, id: number): void {
    const targets = this.#byType.get(target.type) ?? new Map<number, Sources>();
    this.#byType.set(target.type, targets);
    const before = targets.get(target.id);
    if (before === undefined) targets.set(target.id, id);
    else if (typeof before === 'number') {
      if (before !== id) targets.set(target.id, new Set([before, id]));
    } else before.add(id);
  }

  delete(target: EntityRef, id: number): void {
    const targets = this.#byType.get(target.type);
    const before = targets?.get(target.id);
    if (before === id) targets?.delete(target.id);
    else if (typeof before === 'object') before.delete(id);
  }

  ids(target: EntityRef): readonly number[] {
    const found = this.#byType.get(target.type)?.get(target.id);
    if (found === undefined) return [];
    return typeof found === 'number' ? [found] : [...found];
  }
}

export function referencesIn(value: Json): readonly EntityRef[] {
  if (Array.isArray(value)) return value.filter(isEntityRef) as unknown as EntityRef[];
  return isEntityRef(value) ? [value] : [];
}

/**
 * Finds what links to something. A field is indexed when it is first asked about, and kept up to date from then on:
 * most fields of a large site are never asked.
 */
export class LinkIndex {
  readonly #rows: (type: string) => EntityRows;
  readonly #fields = new Map<string, FieldLinks>();

  constructor(rows: (type: string) => EntityRows) {
    this.#rows = rows;
  }

  /** Ids of the entities whose `type.field` links to the target, retired ones too. */
  ids(type: string, field: string, target: EntityRef): readonly number[] {
    const path = `${type}.${field}`;
    const known = this.#fields.get(path);
    if (known !== undefined) return known.ids(target);
    const links = new FieldLinks();
    for (const entity of this.#rows(type).range(1, Number.MAX_SAFE_INTEGER)) {
      for (const ref of referencesIn(entity.stored(field))) links.add(ref, entity.id);
    }
    this.#fields.set(path, links);
    return links.ids(target);
  }

  changed(entity: Entity, field: string, before: Json, after: Json): void {
    const links = this.#fields.get(`${entity.type}.${field}`);
    if (links === undefined) return;
    for (const ref of referencesIn(before)) links.delete(ref, entity.id);
    for (const ref of referencesIn(after)) links.add(ref, entity.id);
  }
}
