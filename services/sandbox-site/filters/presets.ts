import { isEntityRef, type Json, refKey } from '@understudy/domain/entity';
import type { Entity } from '../entity-table.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';
import type { Predicate } from './evaluate.ts';

/** Greater is later: compared from left to right. */
type Rank = readonly (number | string)[];

function isLater(a: Rank, b: Rank): boolean {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined || left === right) continue;
    return left > right;
  }
  return false;
}

/** Those that are the latest of their group; what belongs to no group is never latest. */
function latest(
  view: SiteView,
  type: string,
  groupOf: (entity: Entity) => string | null,
  rankOf: (entity: Entity) => Rank,
): Predicate {
  const best = new Map<string, { readonly id: number; readonly rank: Rank }>();
  for (const entity of view.data.all(type)) {
    const group = entity.retired || !view.sees(entity) ? null : groupOf(entity);
    if (group === null) continue;
    const rank = [...rankOf(entity), entity.id];
    const known = best.get(group);
    if (known === undefined || isLater(rank, known.rank)) best.set(group, { id: entity.id, rank });
  }
  const ids = new Set([...best.values()].map((item) => item.id));
  return (entity) => ids.has(entity.id);
}

/** The links of an entity in one field, as a key; null where there is none. */
function groupBy(view: SiteView, field: string): (entity: Entity) => string | null {
  return (entity) => {
    const link = view.data.link(entity.stored(field));
    return link === null ? null : refKey(link);
  };
}

const createdAt = (entity: Entity): Rank => [String(entity.stored('created_at') ?? '')];
const numberIn =
  (field: string) =>
  (entity: Entity): Rank => [Number(entity.stored(field) ?? Number.NEGATIVE_INFINITY)];

/** Order of the pipeline step of a Version's task. */
function stepOrder(view: SiteView, entity: Entity): number {
  const task = view.data.link(entity.stored('sg_task'));
  const step = task === null ? null : view.data.link(view.data.find(task)?.stored('step') ?? null);
  const order = step === null ? null : view.data.find(step)?.stored('list_order');
  return typeof order === 'number' ? order : Number.NEGATIVE_INFINITY;
}

function preset(view: SiteView, type: string, asked: Readonly<Record<string, Json>>): Predicate | undefined {
  const { preset_name: name, latest_by: by } = asked;
  const byEntity = groupBy(view, 'entity');
  if (type === 'Version' && name === 'CUT_SHOT_VERSIONS') return cutShotVersions(view, asked['cut_id']);
  if (name !== 'LATEST') return undefined;
  switch (`${type} ${String(by)}`) {
    case 'Version ENTITIES_CREATED_AT':
    case 'PublishedFile ENTITIES_CREATED_AT':
      return latest(view, type, byEntity, createdAt);
    case 'Version BY_PIPELINE_STEP_NUMBER_AND_ENTITIES_CREATED_AT':
      return latest(view, type, byEntity, (entity) => [stepOrder(view, entity), ...createdAt(entity)]);
    case 'PublishedFile VERSION_NUMBER':
      return latest(view, type, byEntity, numberIn('version_number'));
    case 'Cut REVISION_NUMBER': {
      const project = groupBy(view, 'project');
      const group = (entity: Entity): string => `${project(entity)} ${String(entity.stored('code'))}`;
      return latest(view, type, group, numberIn('revision_number'));
    }
    default:
      return undefined;
  }
}

/** Versions of the Shots that the items of a Cut show. */
function cutShotVersions(view: SiteView, cutId: Json | undefined): Predicate {
  if (!Number.isSafeInteger(cutId)) {
    throw badRequest(`API ${view.method}() invalid/missing integer 'cut_id': ${JSON.stringify(cutId)}`);
  }
  const shots = new Set<string>();
  for (const id of view.data.linkedFrom({ type: 'Cut', id: cutId as number }, 'CutItem', 'cut')) {
    const item = view.find({ type: 'CutItem', id });
    const shot = item === undefined || item.retired ? null : view.data.link(item.stored('shot'));
    if (shot !== null) shots.add(refKey(shot));
  }
  return (entity) => {
    const link = entity.stored('entity');
    return isEntityRef(link) && shots.has(refKey(link));
  };
}

/**
 * The predicates of `additional_filter_presets` (protocol §4.4); the reply holds what passes all of them and the filters.
 * @throws SandboxFault 103 for what is no list, and for a preset that the type does not have.
 */
export function presetPredicates(view: SiteView, type: string, asked: Json | undefined): Predicate[] {
  if (asked === undefined) return [];
  if (!Array.isArray(asked)) {
    throw badRequest(
      `API ${view.method}() invalid array 'additional_filter_presets': ${JSON.stringify(asked)}`,
    );
  }
  return asked.map((item) => {
    const isObject = typeof item === 'object' && item !== null && !Array.isArray(item);
    const found = isObject ? preset(view, type, item as Readonly<Record<string, Json>>) : undefined;
    if (found === undefined) {
      throw badRequest(`API ${view.method}() invalid filter preset for ${type}: ${JSON.stringify(item)}`);
    }
    return found;
  });
}
