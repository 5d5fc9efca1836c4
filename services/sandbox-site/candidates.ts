import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { Entity } from './entity-table.ts';
import type { SiteView } from './site-view.ts';

/** What a filter surely asks of the id. */
interface Bounds {
  from: number;
  to: number;
  /** The only ids that can match, where the filter names or implies some. */
  ids: readonly number[] | null;
}

interface Leaf {
  readonly path?: unknown;
  readonly relation?: unknown;
  readonly values?: unknown;
}

/**
 * The entities of a type that may match a filter, in id order. A shortcut past the rows that the id or an indexed link
 * rules out; the filter itself judges each of them again.
 */
export function* candidates(
  view: SiteView,
  type: string,
  filter: Json,
  descending: boolean,
): Iterable<Entity> {
  const bounds: Bounds = { from: 1, to: Number.MAX_SAFE_INTEGER, ids: null };
  narrow(view, type, filter, bounds);
  const rows = view.rows(type);
  if (bounds.ids === null) {
    yield* rows.range(bounds.from, bounds.to, descending);
    return;
  }
  const ids = [...new Set(bounds.ids)].filter((id) => id >= bounds.from && id <= bounds.to);
  ids.sort((a, b) => (descending ? b - a : a - b));
  for (const id of ids) {
    const entity = rows.find(id);
    if (entity !== undefined) yield entity;
  }
}

function narrow(view: SiteView, type: string, filter: unknown, bounds: Bounds): void {
  if (typeof filter !== 'object' || filter === null) return;
  const { logical_operator: operator, conditions } = filter as Record<string, unknown>;
  if (Array.isArray(conditions)) {
    const isAnd = operator === 'and' || conditions.length === 1;
    if (isAnd) for (const condition of conditions) narrow(view, type, condition, bounds);
    return;
  }
  const { path, relation, values } = filter as Leaf;
  if (typeof path !== 'string' || !Array.isArray(values)) return;
  if (path === 'id') narrowId(relation, values, bounds);
  else if (relation === 'is' || relation === 'in') narrowLink(view, type, path, values, bounds);
}

function narrowId(relation: unknown, values: readonly unknown[], bounds: Bounds): void {
  if (!values.every((value) => typeof value === 'number')) return;
  const [first = 0, second = 0] = values;
  if (relation === 'is' || relation === 'in') keepFewer(bounds, values);
  if (relation === 'greater_than') bounds.from = Math.max(bounds.from, Math.floor(first) + 1);
  if (relation === 'less_than') bounds.to = Math.min(bounds.to, Math.ceil(first) - 1);
  if (relation === 'between') {
    bounds.from = Math.max(bounds.from, Math.ceil(first));
    bounds.to = Math.min(bounds.to, Math.floor(second));
  }
}

function narrowLink(
  view: SiteView,
  type: string,
  path: string,
  values: readonly unknown[],
  bounds: Bounds,
): void {
  const field = view.field(type, path);
  if (field === undefined || field.inverse !== null || type === 'EventLogEntry') return;
  const { storage } = DATA_TYPES[field.dataType];
  if ((storage !== 'link' && storage !== 'links') || !values.every(isEntityRef)) return;
  keepFewer(
    bounds,
    values.flatMap((ref) => view.data.linkedFrom(ref, type, path)),
  );
}

function keepFewer(bounds: Bounds, ids: readonly number[]): void {
  if (bounds.ids === null || ids.length < bounds.ids.length) bounds.ids = ids;
}
