import type { Relation } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { EntityLink, Json } from '@understudy/domain/entity';
import type { Entity, SiteData } from '../site-data.ts';
import { badRequest } from '../site-fault.ts';
import { compare, NEGATIVE } from './compare.ts';

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
export function predicate(data: SiteData, type: string, filter: unknown, now: Date, depth = 0): Predicate {
  if (!isObject(filter)) throw badRequest("API read() invalid/missing 'filters'");
  if (depth > MAX_DEPTH) throw badRequest('API read() filters are nested too deeply');
  if ('conditions' in filter || 'logical_operator' in filter) {
    const operator = filter['logical_operator'];
    if (operator !== 'and' && operator !== 'or')
      throw badRequest(`Invalid logical operator: ${String(operator)}`);
    if (!Array.isArray(filter['conditions'])) throw badRequest("API read() invalid/missing 'conditions'");
    const parts = filter['conditions'].map((condition) => predicate(data, type, condition, now, depth + 1));
    if (parts.length === 0) return () => true;
    return operator === 'and'
      ? (entity) => parts.every((part) => part(entity))
      : (entity) => parts.some((part) => part(entity));
  }
  const { path, relation, values } = filter;
  if (typeof path !== 'string') throw badRequest("API read() invalid/missing 'path'");
  if (typeof relation !== 'string') throw badRequest("API read() invalid/missing 'relation'");
  if (!Array.isArray(values)) throw badRequest("API read() invalid/missing 'values'");
  return leafPredicate(data, type, path, path.split('.'), relation as Relation, values as Json[], now);
}

function leafPredicate(
  data: SiteData,
  type: string,
  path: string,
  segments: readonly string[],
  relation: Relation,
  values: readonly Json[],
  now: Date,
): Predicate {
  const [name = '', nextType, ...rest] = segments;
  const field = data.field(type, name);
  if (field === undefined || segments.length > 2 * MAX_HOPS)
    throw badRequest(`API read() ${type}.${path} doesn't exist.`);
  const dataType = DATA_TYPES[field.dataType];
  if (nextType === undefined) {
    const place = `${type}.${name}`;
    if (dataType.relations.length === 0) {
      throw badRequest(`API read() ${place}'s '${dataType.name}' data type cannot be used in a filter.`);
    }
    if (!dataType.relations.includes(relation)) {
      throw badRequest(
        `API read() ${place}'s '${dataType.name}' data type doesn't support '${relation}' 'relation'\nValid relations: ${JSON.stringify(dataType.relations)}`,
      );
    }
    const test = compare(dataType.family, dataType.name, { place, relation, values, now });
    return (entity) => test(data.value(entity, name));
  }
  const isLinks = dataType.storage === 'links';
  if ((dataType.storage !== 'link' && !isLinks) || rest.length === 0 || !data.schema.has(nextType)) {
    throw badRequest(`API read() ${type}.${path} doesn't exist.`);
  }
  const targets = (entity: Entity): Entity[] => {
    const value = data.value(entity, name);
    const links = (Array.isArray(value) ? value : value === null ? [] : [value]) as unknown as EntityLink[];
    return links.flatMap((link) => (link.type === nextType ? (data.find(link) ?? []) : []));
  };
  const positive = NEGATIVE[relation];
  if (isLinks && positive !== undefined) {
    // Through a list of links the negation moves outside: "no linked entity has" (protocol §4.3).
    const inner = leafPredicate(data, nextType, rest.join('.'), rest, positive, values, now);
    return (entity) => !targets(entity).some(inner);
  }
  const inner = leafPredicate(data, nextType, rest.join('.'), rest, relation, values, now);
  if (isLinks) return (entity) => targets(entity).some(inner);
  // A link that is null, or to another type, leaves the leaf with null to compare, as a left join does.
  const nothing: Entity = { type: nextType, id: 0, retired: false, values: new Map() };
  const onNull = nullPredicate(data, nextType, rest, relation, values, now);
  return (entity) => {
    const [target] = targets(entity);
    return target === undefined ? onNull(nothing) : inner(target);
  };
}

/** The leaf on an entity that is not there: every field along the path is null or empty. */
function nullPredicate(
  data: SiteData,
  type: string,
  segments: readonly string[],
  relation: Relation,
  values: readonly Json[],
  now: Date,
): Predicate {
  const [name = '', nextType, ...rest] = segments;
  const field = data.field(type, name);
  if (field === undefined) return () => false;
  const dataType = DATA_TYPES[field.dataType];
  if (nextType !== undefined) {
    if (dataType.storage === 'links') return () => NEGATIVE[relation] !== undefined;
    return nullPredicate(data, nextType, rest, relation, values, now);
  }
  const test = compare(dataType.family, dataType.name, { place: `${type}.${name}`, relation, values, now });
  return () => test(dataType.storage === 'links' ? [] : null);
}
