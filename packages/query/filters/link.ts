import { type EntityRef, isEntityRef } from '@understudy/domain/entity';
import { NotCompiled } from '../pass-through.ts';
import type { Located, Scope, Source } from '../scope.ts';
import { anyOf } from '../sql.ts';
import { textCondition } from './scalar.ts';

export interface LinkComparison {
  readonly scope: Scope;
  readonly source: Source;
  readonly located: Located;
  readonly relation: string;
  readonly values: readonly unknown[];
}

/**
 * entity and multi_entity (protocol §4.3): links to what is retired do not exist. `is` of a list is "contains", `is null`
 * "is empty"; `name_*` compare the display name without case.
 */
export function linkCondition(comparison: LinkComparison): string {
  const { relation, values, scope } = comparison;
  const { parameters } = scope;
  const [value] = values;
  if (relation.startsWith('name_')) {
    if (typeof value !== 'string') throw new NotCompiled('invalid filter', 'text expected');
    const textRelation = relation.slice('name_'.length);
    const name = { column: 'lt.name', sqlType: 'text', relation: textRelation, values, parameters };
    // A name is never empty, but a filter may ask for one: unlike text, that is no null here.
    return anyLink(comparison, value === '' && textRelation === 'is' ? `lt.name = ''` : textCondition(name));
  }
  if (relation === 'type_is') {
    if (value === null) return `not ${anyLink(comparison, 'true')}`;
    if (typeof value !== 'string') throw new NotCompiled('invalid filter', 'text expected');
    expectType(scope, value);
    return anyLink(comparison, `lt.entity_type = ${parameters.add(value, 'text')}`);
  }
  // What an addressing field contains is not written down (protocol §4.2).
  if (relation !== 'is' && relation !== 'in') throw new NotCompiled('operator not answered here', relation);
  const byType = new Map<string, number[]>();
  const alternatives: string[] = [];
  if (values.includes(null)) alternatives.push(`not ${anyLink(comparison, 'true')}`);
  for (const item of values) {
    if (item === null) continue;
    if (!isEntityRef(item)) throw new NotCompiled('invalid filter', 'entity expected');
    expectType(scope, item.type);
    const ids = byType.get(item.type) ?? [];
    byType.set(item.type, ids);
    ids.push(item.id);
  }
  for (const [type, ids] of byType) alternatives.push(oneOf(comparison, type, ids));
  return anyOf(alternatives);
}

/** @throws NotCompiled for a type that the replica has never heard of: the site may refuse it (protocol §4.2). */
function expectType(scope: Scope, type: string): void {
  if (!scope.knowsType(type)) throw new NotCompiled('value in doubt', 'entity type');
}

/** Whether there is a link to something alive for which a condition on `lt` holds. */
function anyLink({ source, located }: LinkComparison, condition: string): string {
  const { alias } = source;
  if (located.kind === 'link') {
    return `exists (select from understudy.link_target lt where lt.entity_type = ${alias}.${located.typeColumn}
      and lt.entity_id = ${alias}.${located.idColumn} and lt.active and (${condition}))`;
  }
  if (located.kind !== 'links') throw new NotCompiled('invalid filter', located.field.name);
  return `exists (select from ${located.table} l join understudy.link_target lt
    on lt.entity_type = l.target_type and lt.entity_id = l.target_id
    where l.entity_id = ${alias}.id and not l._removed and lt.active and (${condition}))`;
}

/** Whether there is a link to one of some entities; the ids that are alive are found once, not for each row. */
function oneOf(comparison: LinkComparison, type: string, ids: readonly number[]): string {
  const { source, located } = comparison;
  if (located.kind === 'link')
    return targets(
      comparison,
      type,
      ids,
      `${source.alias}.${located.typeColumn}`,
      `${source.alias}.${located.idColumn}`,
    );
  if (located.kind !== 'links') throw new NotCompiled('invalid filter', located.field.name);
  return `exists (select from ${located.table} l where l.entity_id = ${source.alias}.id and not l._removed
    and ${targets(comparison, type, ids, 'l.target_type', 'l.target_id')})`;
}

/** Whether columns name one of some entities, and it is alive. */
function targets(
  { scope: { parameters } }: Pick<LinkComparison, 'scope'>,
  type: string,
  ids: readonly number[],
  typeColumn: string,
  idColumn: string,
): string {
  const typeParameter = parameters.add(type, 'text');
  const [only] = ids;
  const idList = parameters.add(ids.length === 1 ? only : ids, ids.length === 1 ? 'bigint' : 'bigint[]');
  // A single id is compared as such, so that an index on it is used; being alive is asked once.
  const isOne =
    ids.length === 1
      ? `${idColumn} = ${idList} and (select active from understudy.link_target where entity_type = ${typeParameter} and entity_id = ${idList})`
      : `${idColumn} = any((select array_agg(entity_id) from understudy.link_target where entity_type = ${typeParameter}
    and entity_id = any(${idList}) and active)::bigint[])`;
  return `${typeColumn} = ${typeParameter} and ${isOne}`;
}

/** Which rows `l` of a table of links lead to an entity. @throws NotCompiled as `linkCondition` does. */
export function linksTo(scope: Scope, { type, id }: EntityRef): string {
  expectType(scope, type);
  return `not l._removed and ${targets({ scope }, type, [id], 'l.target_type', 'l.target_id')}`;
}
