import type { Relation } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { NotCompiled } from '../pass-through.ts';
import { segmentsOf } from '../path.ts';
import type { Located, Scope, Source } from '../scope.ts';
import { literal, not } from '../sql.ts';
import { linkCondition } from './link.ts';
import {
  checkboxCondition,
  choiceCondition,
  numberCondition,
  textCondition,
  uuidCondition,
} from './scalar.ts';
import { timeCondition } from './time.ts';

/** Negative operators and what each is the negative of; all of them also match null (protocol §4.3). */
const NEGATIVE: Readonly<Partial<Record<string, Relation>>> = {
  is_not: 'is',
  not_in: 'in',
  not_contains: 'contains',
  not_in_last: 'in_last',
  not_in_next: 'in_next',
  type_is_not: 'type_is',
  name_not_contains: 'name_contains',
};
/** How many values each relation takes; the others take one. */
const VALUE_COUNTS: Readonly<Partial<Record<string, readonly [min: number, max: number]>>> = {
  in: [1, Number.POSITIVE_INFINITY],
  between: [2, 2],
  in_last: [2, 2],
  in_next: [2, 2],
};
const VALUES_MAX = 20_000;
/** Deeper or larger filters go to the site, which has bounds of its own. */
const DEPTH_MAX = 64;
const CONDITIONS_MAX = 1_000;

/** Bounds one filter, however it nests. */
interface Budget {
  left: number;
}

/**
 * A filter tree (protocol §4) as an SQL condition on the scope's root. Conditions may be null where they do not hold.
 * @throws NotCompiled for what is not kept, not valid or too large.
 */
export function compileFilter(
  scope: Scope,
  filter: unknown,
  depth = 0,
  budget: Budget = { left: CONDITIONS_MAX },
): string {
  budget.left -= 1;
  if (depth > DEPTH_MAX || budget.left < 0) throw new NotCompiled('filter too large');
  if (!isObject(filter)) throw new NotCompiled('invalid filter', 'not an object');
  // Anything that has one of these is a group: the site refuses the half of one.
  if (Object.hasOwn(filter, 'conditions') || Object.hasOwn(filter, 'logical_operator')) {
    const { logical_operator: operator, conditions } = filter;
    if ((operator !== 'and' && operator !== 'or') || !Array.isArray(conditions))
      throw new NotCompiled('invalid filter', 'group');
    if (conditions.length === 0) return 'true';
    const parts = conditions.map((condition) => `(${compileFilter(scope, condition, depth + 1, budget)})`);
    return parts.join(operator === 'and' ? ' and ' : ' or ');
  }
  const { path, relation, values } = filter;
  if (typeof path !== 'string' || typeof relation !== 'string' || !Array.isArray(values)) {
    throw new NotCompiled('invalid filter', 'leaf');
  }
  if (path.startsWith('$FROM$')) throw new NotCompiled('reverse lookup');
  return leafCondition(scope, scope.root, segmentsOf(path), relation, values);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function leafCondition(
  scope: Scope,
  source: Source,
  segments: readonly string[],
  relation: string,
  values: readonly unknown[],
): string {
  const [name = '', type, ...rest] = segments;
  const located = scope.field(source, name);
  if (located.field.absent) throw new NotCompiled('invalid filter', `no field ${name}`);
  if (type === undefined) return fieldCondition(scope, source, located, relation, values);
  if (rest.length === 0) throw new NotCompiled('invalid filter', 'path');
  const { validTypes } = located.field;
  // A type that the field does not allow gives no rows (protocol §4.3); what it gives to a negative one is not known.
  const isAllowed = validTypes.length === 0 || validTypes.includes(type);
  const asksForNone = values.some((value) => value === null || value === '');
  if (!isAllowed && (Object.hasOwn(NEGATIVE, relation) || asksForNone))
    throw new NotCompiled('value in doubt', `${name}.${type}`);
  if (located.kind === 'link')
    return leafCondition(scope, scope.follow(source, name, type), rest, relation, values);
  if (located.kind !== 'links') throw new NotCompiled('invalid filter', 'path');
  // Through a list of links: some linked entity has; the negative is "none has" (protocol §4.3).
  const positive = Object.hasOwn(NEGATIVE, relation) ? NEGATIVE[relation] : undefined;
  const inner = scope.inner(type);
  const condition = leafCondition(inner, inner.root, rest, positive ?? relation, values);
  const { alias, table } = inner.root;
  const exists = `exists (select from ${located.table} l join ${table.sqlName} ${alias} on ${alias}.id = l.target_id ${inner.joins}
    where l.entity_id = ${source.alias}.id and l.target_type = ${literal(type)} and not l._removed and ${alias}._active
    and (${condition}))`;
  return positive === undefined ? exists : `not ${exists}`;
}

function fieldCondition(
  scope: Scope,
  source: Source,
  located: Located,
  relation: string,
  values: readonly unknown[],
): string {
  const dataType = DATA_TYPES[located.field.dataType];
  // Sites differ in what the filters of the one take (protocol §3.5), of the other no operator is written down (§4.2).
  if (dataType.name === 'tag_list' || dataType.name === 'system_task_type')
    throw new NotCompiled('operator not answered here', dataType.name);
  // Documented, but live sites do not list it, and whether it matches null is not written down (protocol §4.2, §4.3).
  if (relation === 'not_between') throw new NotCompiled('operator not answered here', relation);
  if (!(dataType.relations as readonly string[]).includes(relation))
    throw new NotCompiled('invalid filter', relation);
  const positive = Object.hasOwn(NEGATIVE, relation) ? NEGATIVE[relation] : undefined;
  if (positive !== undefined) return not(fieldConditionPositive(scope, source, located, positive, values));
  return fieldConditionPositive(scope, source, located, relation, values);
}

function fieldConditionPositive(
  scope: Scope,
  source: Source,
  located: Located,
  relation: string,
  values: readonly unknown[],
): string {
  const [min, max] = VALUE_COUNTS[relation] ?? [1, 1];
  if (values.length > VALUES_MAX) throw new NotCompiled('filter too large');
  if (values.length < min || values.length > max)
    throw new NotCompiled('invalid filter', `values of ${relation}`);
  const { parameters } = scope;
  const dataType = DATA_TYPES[located.field.dataType];
  if (located.kind === 'link' || located.kind === 'links') {
    return linkCondition({ scope, source, located, relation, values });
  }
  if (located.kind !== 'column') throw new NotCompiled('field not kept', located.field.name);
  const column = `${source.alias}.${located.column}`;
  const comparison = { column, sqlType: located.sqlType, relation, values, parameters };
  switch (dataType.family) {
    case 'text':
      return textCondition(comparison);
    case 'number':
      // Footage is kept as it is written, feet and frames; its order is the site's to know.
      if (located.sqlType === 'text') throw new NotCompiled('operator not answered here', dataType.name);
      return numberCondition(comparison);
    case 'date':
    case 'date_time':
      return timeCondition(comparison);
    case 'checkbox':
      return checkboxCondition(comparison);
    case 'choice':
      return choiceCondition(comparison, dataType.name === 'list');
    case 'uuid':
      return uuidCondition(comparison);
    case 'image':
      if (values[0] !== null) throw new NotCompiled('invalid filter', 'null expected');
      return `${column} is null`;
    default:
      throw new NotCompiled('operator not answered here', `${dataType.name} ${relation}`);
  }
}
