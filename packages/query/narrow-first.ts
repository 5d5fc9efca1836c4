import { type EntityRef, isEntityRef } from '@understudy/domain/entity';
import type { ColumnFrequencies } from '@understudy/store/column-frequencies';
import { compileFilter } from './filters/compile-filter.ts';
import { linksTo } from './filters/link.ts';
import { segmentsOf } from './path.ts';
import type { Located, Scope } from './scope.ts';

/** How many times as many rows the other way must look at for this one to be worth its second look at what it finds. */
const WORTH = 4;
/** Longer filters are compiled as they are: nobody writes such by hand. */
const CONDITIONS_MAX = 100;

interface Leaf {
  readonly path: string;
  readonly relation: string;
  readonly values: readonly unknown[];
}

/**
 * Conditions of which one asks who is in a list of links, and another narrows the rows much further: the tasks of a
 * sequence that are assigned to somebody. PostgreSQL goes through all links of that somebody, or looks each task up among
 * them by itself; given all tasks at once, it finds them in one walk through the index, in three quarters of the time, and
 * however many links there are. What it would take to find the other rows is estimated by how often values occur; where that
 * is wrong, answers are as right, and slower.
 * @param base that rows must meet besides. @returns null where it is not such a filter, or not worth while.
 * @throws NotCompiled
 */
export function narrowFirst(scope: Scope, filter: unknown, base: readonly string[]): string | null {
  const { frequencies } = scope.context;
  if (frequencies === undefined) return null;
  const { logical_operator: operator, conditions } = filter as Readonly<Record<string, unknown>>;
  if (operator !== 'and' || !Array.isArray(conditions) || conditions.length > CONDITIONS_MAX) return null;
  const list = conditions.map((one) => listOf(scope, one)).find((one) => one !== null) ?? null;
  if (list === null) return null;
  const { condition, located, target } = list;
  const others = conditions.filter((one) => one !== condition);
  const narrow = Math.min(...others.map((one) => rowsOf(scope, one, frequencies)));
  const links = frequencies.rowsPerValue(located.table, 'target_id');
  if (links === null || !(narrow * WORTH <= links)) return null;
  const { alias, table } = scope.root;
  const rows = [...base, `(${compileFilter(scope, { logical_operator: 'and', conditions: others })})`];
  return `${alias}.id = any(array(select l.entity_id from ${located.table} l where ${linksTo(scope, target)}
    and l.entity_id = any(array(select ${alias}.id from ${table.sqlName} ${alias} ${scope.joins} where ${rows.join(' and ')}))))`;
}

/** Whether it is a condition that a value is a certain entity or number. */
function isIs(condition: unknown): condition is Leaf {
  const { path, relation, values } = (condition ?? {}) as Partial<Readonly<Record<string, unknown>>>;
  return typeof path === 'string' && relation === 'is' && Array.isArray(values) && values.length === 1;
}

/** A condition that an entity is in a list of links of the rows themselves. */
interface InList {
  readonly condition: Leaf;
  readonly located: Located & { readonly kind: 'links' };
  readonly target: EntityRef;
}

function listOf(scope: Scope, condition: unknown): InList | null {
  if (!isIs(condition)) return null;
  const [target] = condition.values;
  const [name = '', ...rest] = segmentsOf(condition.path);
  const located = rest.length === 0 ? scope.root.table.fields.get(name) : undefined;
  // Of other lists, such as addresses, it is not written down what `is` means (protocol §4.2).
  if (located?.kind !== 'links' || located.field.dataType !== 'multi_entity' || !isEntityRef(target))
    return null;
  return { condition, located, target };
}

/** About how many rows meet a condition; infinitely many where it cannot be told. */
function rowsOf(scope: Scope, condition: unknown, frequencies: ColumnFrequencies): number {
  if (!isIs(condition)) return Number.POSITIVE_INFINITY;
  const { path, values } = condition;
  if (path === 'id') return 1;
  if (!isEntityRef(values[0])) return Number.POSITIVE_INFINITY;
  const segments = segmentsOf(path);
  let { table } = scope.root;
  let rows = 1;
  for (let at = 0; at < segments.length; at += 2) {
    const located = table.fields.get(segments[at] ?? '');
    if (located?.kind !== 'link') return Number.POSITIVE_INFINITY;
    rows *= frequencies.rowsPerValue(table.sqlName, located.idColumn) ?? Number.POSITIVE_INFINITY;
    const type = segments[at + 1];
    if (type === undefined) return rows;
    const next = scope.tableOf(type);
    if (next === null) return Number.POSITIVE_INFINITY;
    table = next;
  }
  return rows;
}
