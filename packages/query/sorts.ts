import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { NotCompiled } from './pass-through.ts';
import { segmentsOf } from './path.ts';
import type { Scope, Source } from './scope.ts';

/** How the site orders text (protocol §3.4, §9). */
export const TEXT_COLLATION = '"en-US-x-icu"';
const SORTS_MAX = 20;
/** A sort on one of these is ignored (protocol §3.4); on others that cannot be sorted by, nobody knows. */
const IGNORED: ReadonlySet<string> = new Set(['summary', 'url', 'password', 'serializable']);

/**
 * ORDER BY of a read: what the site ignores is ignored, nulls come last ascending and first descending, id breaks ties.
 * @throws NotCompiled for fields that are not kept.
 */
export function compileSorts(scope: Scope, sorts: unknown): string {
  const keys: string[] = [];
  if (sorts !== undefined && sorts !== null && !Array.isArray(sorts)) throw new NotCompiled('invalid sorts');
  if (Array.isArray(sorts) && sorts.length > SORTS_MAX) throw new NotCompiled('too many sorts');
  for (const sort of (sorts ?? []) as readonly unknown[]) {
    const { field_name: path, direction } = (sort ?? {}) as { field_name?: unknown; direction?: unknown };
    if (typeof path !== 'string') throw new NotCompiled('invalid sorts');
    const key = sortKey(scope, scope.root, segmentsOf(path));
    if (key !== null) keys.push(`${key} ${direction === 'desc' ? 'desc' : 'asc'}`);
  }
  return [...keys, `${scope.root.alias}.id asc`].join(', ');
}

function sortKey(scope: Scope, source: Source, segments: readonly string[]): string | null {
  const [name = '', type, ...rest] = segments;
  const located = scope.field(source, name);
  const { name: dataType, sortable } = DATA_TYPES[located.field.dataType];
  if (located.field.absent || IGNORED.has(dataType)) return null;
  if (!sortable || dataType === 'footage') throw new NotCompiled('sort in doubt', dataType);
  if (type !== undefined) {
    if (located.kind !== 'link' || rest.length === 0) return null;
    return sortKey(scope, scope.follow(source, name, type), rest);
  }
  if (located.kind === 'link') {
    return `(select lt.name from understudy.link_target lt where lt.entity_type = ${source.alias}.${located.typeColumn}
      and lt.entity_id = ${source.alias}.${located.idColumn} and lt.active) collate ${TEXT_COLLATION}`;
  }
  if (located.kind !== 'column') throw new NotCompiled('field not kept', name);
  const column = `${source.alias}.${located.column}`;
  return located.sqlType === 'text' ? `${column} collate ${TEXT_COLLATION}` : column;
}
