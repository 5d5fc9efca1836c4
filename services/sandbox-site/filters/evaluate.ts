import type { Relation } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { EntityLink, Json } from '@understudy/domain/entity';
import type { Entity } from '../entity-table.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';
import { compare, NEGATIVE } from './compare.ts';
import { FROM_PREFIX, linkingFrom, parseFromPath } from './from-path.ts';

export type Predicate = (entity: Entity) => boolean;

/** How deep groups may nest, and how many leaves a filter may have; the real limits are not known. */
const MAX_DEPTH = 64;
const MAX_HOPS = 12;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Turns a filter tree into a predicate (protocol §4), evaluated plainly entity by entity.
 * @throws SandboxFault for anything the site refuses.
 */
export function predicate(view: SiteView, type: string, filter: unknown, depth = 0): Predicate {
  if (!isObject(filter)) throw badRequest(`API ${view.method}() invalid/missing 'filters'`);
  if (depth > MAX_DEPTH) throw badRequest(`API ${view.method}() filters are nested too deeply`);
  if ('conditions' in filter || 'logical_operator' in filter) {
    const operator = filter['logical_operator'];
    if (operator !== 'and' && operator !== 'or')
      throw badRequest(`Invalid logical operator: ${String(operator)}`);
    if (!Array.isArray(filter['conditions']))
      throw badRequest(`API ${view.method}() invalid/missing 'conditions'`);
    const parts = filter['conditions'].map((condition) => predicate(view, type, condition, depth + 1));
    if (parts.length === 0) return () => true;
    return operator === 'and'
      ? (entity) => parts.every((part) => part(entity))
      : (entity) => parts.some((part) => part(entity));
  }
  const { path, relation, values } = filter;
  if (typeof path !== 'string') throw badRequest(`API ${view.method}() invalid/missing 'path'`);
  if (typeof relation !== 'string') throw badRequest(`API ${view.method}() invalid/missing 'relation'`);
  if (!Array.isArray(values)) throw badRequest(`API ${view.method}() invalid/missing 'values'`);
  if (path.startsWith(FROM_PREFIX))
    return fromPredicate(view, type, path, relation as Relation, values as Json[]);
  const segments = path.split('.');
  checkLeaf(view, `${type}.${path}`, type, segments, relation);
  return leafPredicate(view, type, segments, relation as Relation, values as Json[]);
}

/**
 * @param whole the path with the type that it begins at, for messages: of a dotted path all is named (protocol §4.2).
 * @throws SandboxFault for a path that leads nowhere, and for a relation that the field at its end does not have.
 */
function checkLeaf(
  view: SiteView,
  whole: string,
  type: string,
  segments: readonly string[],
  relation: string,
): void {
  const unknown = (): Error => badRequest(`API ${view.method}() ${whole} doesn't exist.`);
  if (segments.length > 2 * MAX_HOPS) throw unknown();
  let at = type;
  for (let index = 0; ; index += 2) {
    const [name = '', next] = segments.slice(index, index + 2);
    const field = view.field(at, name);
    if (field === undefined) throw unknown();
    const { storage, name: dataType, relations } = DATA_TYPES[field.dataType];
    if (next === undefined) {
      const what = `API ${view.method}() ${at}.${name}'s '${dataType}' data type`;
      if (relations.length === 0) throw badRequest(`${what} cannot be used in a filter.`);
      if (relations.some((one) => one === relation)) return;
      throw badRequest(
        `${what} doesn't support '${relation}' 'relation'\nValid relations: ${JSON.stringify(relations)}`,
      );
    }
    if ((storage !== 'link' && storage !== 'links') || index + 2 >= segments.length) throw unknown();
    if (view.type(next) === undefined) throw unknown();
    at = next;
  }
}

/** A reverse lookup behaves as a list of links does: at least one has it, or for negative relations none. */
function fromPredicate(
  view: SiteView,
  type: string,
  path: string,
  relation: Relation,
  values: readonly Json[],
): Predicate {
  const from = parseFromPath(view, type, path);
  checkLeaf(view, `${type}.${path}`, from.type, from.rest, relation);
  const positive = NEGATIVE[relation];
  const inner = leafPredicate(view, from.type, from.rest, positive ?? relation, values);
  return (entity) => linkingFrom(view, from, entity).some(inner) === (positive === undefined);
}

/** A leaf that was checked. */
function leafPredicate(
  view: SiteView,
  type: string,
  segments: readonly string[],
  relation: Relation,
  values: readonly Json[],
): Predicate {
  const [name = '', nextType, ...rest] = segments;
  const field = view.field(type, name);
  if (field === undefined) return () => false;
  const dataType = DATA_TYPES[field.dataType];
  if (nextType === undefined) {
    const test = compare(dataType.family, dataType.name, {
      method: view.method,
      place: `${type}.${name}`,
      validTypes: field.validTypes,
      relation,
      values,
      now: view.now,
    });
    return (entity) => test(view.value(entity, name));
  }
  const isLinks = dataType.storage === 'links';
  const targets = (entity: Entity): Entity[] => {
    const value = view.value(entity, name);
    const links = (Array.isArray(value) ? value : value === null ? [] : [value]) as unknown as EntityLink[];
    return links.flatMap((link) => (link.type === nextType ? (view.find(link) ?? []) : []));
  };
  const positive = NEGATIVE[relation];
  if (isLinks && positive !== undefined) {
    // Through a list of links the negation moves outside: "no linked entity has" (protocol §4.3).
    const inner = leafPredicate(view, nextType, rest, positive, values);
    return (entity) => !targets(entity).some(inner);
  }
  const inner = leafPredicate(view, nextType, rest, relation, values);
  if (isLinks) return (entity) => targets(entity).some(inner);
  // A link that is null, or to another type, leaves the leaf with null to compare, as a left join does.
  const nothing: Entity = { type: nextType, id: 0, retired: false, stored: () => null };
  const onNull = nullPredicate(view, nextType, rest, relation, values);
  return (entity) => {
    const [target] = targets(entity);
    return target === undefined ? onNull(nothing) : inner(target);
  };
}

/** The leaf on an entity that is not there: every field along the path is null or empty. */
function nullPredicate(
  view: SiteView,
  type: string,
  segments: readonly string[],
  relation: Relation,
  values: readonly Json[],
): Predicate {
  const [name = '', nextType, ...rest] = segments;
  const field = view.field(type, name);
  if (field === undefined) return () => false;
  const dataType = DATA_TYPES[field.dataType];
  if (nextType !== undefined) {
    if (dataType.storage === 'links') return () => NEGATIVE[relation] !== undefined;
    return nullPredicate(view, nextType, rest, relation, values);
  }
  const test = compare(dataType.family, dataType.name, {
    method: view.method,
    place: `${type}.${name}`,
    validTypes: field.validTypes,
    relation,
    values,
    now: view.now,
  });
  return () => test(dataType.storage === 'links' ? [] : null);
}
