import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { Json } from '@understudy/domain/entity';
import type { Site } from '../caller.ts';
import type { Entity } from '../entity-table.ts';
import { pick, pickNumber, type Random } from '../random.ts';

/** One field of a write. */
export interface FieldItem {
  readonly field_name: string;
  readonly value: Json;
  readonly multi_entity_update_mode?: string;
}

const TRIES = 40;
const WALK_MAX = 20_000;

/** Some entity of a type, alive or retired as asked; found by chance, so that a large site costs no more. */
export function someOf(site: Site, type: string, random: Random, retired = false): Entity | undefined {
  const rows = site.data.rows(type);
  const last = site.data.lastId(type);
  if (last === 0) return undefined;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const entity = rows.find(1 + pickNumber(random, last));
    if (entity !== undefined && entity.retired === retired) return entity;
  }
  const from = 1 + pickNumber(random, last);
  for (const start of [from, 1]) {
    for (const entity of rows.range(start, start + WALK_MAX)) if (entity.retired === retired) return entity;
  }
  return undefined;
}

export const ref = (entity: Entity): Json => ({ type: entity.type, id: entity.id });

/** A new value for some writable field of the type. */
export function randomChange(site: Site, type: string, random: Random): FieldItem {
  const fields = [...(site.data.schema.get(type)?.fields.values() ?? [])].filter(
    (field) =>
      !field.readOnly &&
      !field.unique &&
      !['created_at', 'created_by', 'project'].includes(field.name) &&
      DATA_TYPES[field.dataType].storage !== 'none',
  );
  const field = pick(random, fields);
  const { name } = field;
  const target = (): Json => {
    const found = someOf(
      site,
      pick(random, field.validTypes.length > 0 ? field.validTypes : ['Shot']),
      random,
    );
    return found === undefined ? null : ref(found);
  };
  switch (DATA_TYPES[field.dataType].storage) {
    case 'links': {
      const value = Array.from({ length: 1 + pickNumber(random, 2) }, target).filter((item) => item !== null);
      return {
        field_name: name,
        value,
        multi_entity_update_mode: pick(random, ['set', 'add', 'add', 'remove']),
      };
    }
    case 'link':
      return { field_name: name, value: random() < 0.15 ? null : target() };
    case 'boolean':
      return { field_name: name, value: random() < 0.5 };
    case 'integer':
      return { field_name: name, value: random() < 0.1 ? null : pickNumber(random, 1_000) };
    case 'double':
    case 'numeric':
      return { field_name: name, value: random() < 0.1 ? null : pickNumber(random, 10_000) / 100 };
    case 'date':
      return {
        field_name: name,
        value: random() < 0.1 ? null : `2026-0${1 + pickNumber(random, 9)}-1${pickNumber(random, 10)}`,
      };
    case 'timestamptz':
      return {
        field_name: name,
        value: `2026-0${1 + pickNumber(random, 9)}-1${pickNumber(random, 10)}T08:00:00Z`,
      };
    case 'jsonb':
      return { field_name: name, value: { n: pickNumber(random, 100), list: [1, 'zwei', null] } };
    case 'uuid':
      return { field_name: name, value: null };
    default: {
      if (field.validValues.length > 0) return { field_name: name, value: pick(random, field.validValues) };
      if (field.dataType === 'color') return { field_name: name, value: `${pickNumber(random, 256)},0,9` };
      return {
        field_name: name,
        value: random() < 0.1 ? null : `${type} ${pickNumber(random, 100_000)} %_é`,
      };
    }
  }
}
