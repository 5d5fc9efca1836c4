import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { Entity } from './entity-table.ts';
import type { SandboxField } from './sandbox-schema.ts';
import { badRequest } from './site-fault.ts';
import type { SiteView } from './site-view.ts';

const ABSENT = Symbol('absent');

/**
 * One row of a reply: `type`, `id` and the fields asked for; what the site does not know is left out silently
 * (protocol §3.4).
 */
export function rowOf(view: SiteView, entity: Entity, fields: readonly string[]): Json {
  const row: Record<string, Json> = { type: entity.type, id: entity.id };
  for (const path of fields) {
    if (path === 'type' || path === 'id') continue;
    const value = valueAt(view, entity, entity.type, path.split('.'));
    if (value !== ABSENT) row[path] = value;
  }
  return row;
}

/** The value at a dotted path; `entity` is undefined below a link that is null. */
function valueAt(
  view: SiteView,
  entity: Entity | undefined,
  type: string,
  segments: readonly string[],
): Json | typeof ABSENT {
  const [name = '', nextType, ...rest] = segments;
  const field = view.field(type, name);
  if (field === undefined) return ABSENT;
  const { storage } = DATA_TYPES[field.dataType];
  if (nextType === undefined) return entity === undefined ? null : view.value(entity, name);
  if (storage !== 'link' || rest.length === 0) return ABSENT;
  if (view.type(nextType) === undefined) return ABSENT;
  if (field.validTypes.length > 0 && !field.validTypes.includes(nextType)) return ABSENT;
  const link = entity === undefined ? null : view.value(entity, name);
  const target = isEntityRef(link) && link.type === nextType ? view.find(link) : undefined;
  return valueAt(view, target, nextType, rest);
}

/** The field at the end of a dotted path through entity links, or undefined where there is none. */
export function fieldAt(view: SiteView, type: string, path: string): SandboxField | undefined {
  const segments = path.split('.');
  let at = type;
  for (let index = 0; index < segments.length; index += 2) {
    const field = view.field(at, segments[index] ?? '');
    const next = segments[index + 1];
    if (field === undefined || next === undefined) return field;
    if (DATA_TYPES[field.dataType].storage !== 'link' || view.type(next) === undefined) return undefined;
    at = next;
  }
  return undefined;
}

/** @returns what gives the value at a path that `fieldAt` found. */
export function valueReader(view: SiteView, type: string, path: string): (entity: Entity) => Json {
  const segments = path.split('.');
  return (entity) => {
    const value = valueAt(view, entity, type, segments);
    return value === ABSENT ? null : value;
  };
}

/** Data types by which a sort is an error; other sorts that order nothing are ignored (protocol §3.4). */
const SORT_REFUSED: ReadonlySet<string> = new Set(['uuid', 'pivot_column']);

/**
 * The value that a sort compares, or undefined where the site ignores the sort (protocol §3.4).
 * @throws SandboxFault 103 for a sort that the site refuses.
 */
export function sortKey(view: SiteView, type: string, path: string): ((entity: Entity) => Json) | undefined {
  const segments = path.split('.');
  let at = type;
  for (let index = 0; index < segments.length; index += 2) {
    const field = view.field(at, segments[index] ?? '');
    if (field === undefined) return undefined;
    if (SORT_REFUSED.has(field.dataType)) {
      throw badRequest(
        `API ${view.method}() ${type}.${path}'s '${field.dataType}' data type cannot be sorted.`,
      );
    }
    if (!DATA_TYPES[field.dataType].sortable) return undefined;
    const next = segments[index + 1];
    if (next === undefined) break;
    if (
      DATA_TYPES[field.dataType].storage !== 'link' ||
      view.type(next) === undefined ||
      index + 2 >= segments.length
    ) {
      return undefined;
    }
    at = next;
  }
  return (entity) => {
    const value = valueAt(view, entity, entity.type, segments);
    if (value === ABSENT) return null;
    return isEntityRef(value) ? ((value as { name?: Json }).name ?? null) : value;
  };
}
