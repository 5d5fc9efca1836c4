import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { Caller, Site } from '../caller.ts';
import type { Entity } from '../entity-table.ts';
import { predicate } from '../filters/evaluate.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';

const TEXT_MIN = 3;
const RESULTS_DEFAULT = 10;

function linked(view: SiteView, entity: Entity): { type: string; name: string | null } | null {
  const link = view.data.link(entity.stored('entity'));
  return link === null ? null : { type: link.type, name: link.name };
}

function match(view: SiteView, entity: Entity): Json {
  const project = entity.stored('project');
  const link = linked(view, entity);
  return {
    id: entity.id,
    type: entity.type,
    name: view.data.displayName(entity),
    project_id: isEntityRef(project) ? project.id : null,
    image: view.field(entity.type, 'image') === undefined ? null : view.value(entity, 'image'),
    links: link === null ? ['', ''] : [link.type, link.name],
    status: entity.stored('sg_status_list'),
  };
}

/** Text search: every word in the name, or in that of the linked entity; shortest name first (protocol §5.6). */
export function queryDisplayNameCache(_site: Site, caller: Caller, raw: unknown): Json {
  const view = caller.view('query_display_name_cache');
  const {
    text,
    entity_types: types,
    project_ids: projects,
    max_results: max,
  } = (raw ?? {}) as Record<string, Json>;
  if (typeof text !== 'string' || text.trim().length < TEXT_MIN) {
    throw badRequest(`API query_display_name_cache() 'text' must have at least ${TEXT_MIN} characters`);
  }
  if (typeof types !== 'object' || types === null || Array.isArray(types)) {
    throw badRequest("API query_display_name_cache() invalid/missing hash 'entity_types'");
  }
  const terms = text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
  const inProjects = Array.isArray(projects) && projects.length > 0 ? new Set(projects) : null;
  const found: { entity: Entity; name: string }[] = [];
  for (const [type, filter] of Object.entries(types)) {
    if (view.type(type) === undefined)
      throw badRequest(`API query_display_name_cache() unknown type ${type}`);
    const test = predicate(view, type, filter ?? { logical_operator: 'and', conditions: [] });
    for (const entity of view.data.all(type)) {
      if (entity.retired || !view.sees(entity) || !test(entity)) continue;
      const project = entity.stored('project');
      if (inProjects !== null && !(isEntityRef(project) && inProjects.has(project.id))) continue;
      const name = view.data.displayName(entity) ?? '';
      const where = `${name} ${linked(view, entity)?.name ?? ''}`.toLowerCase();
      if (terms.every((term) => where.includes(term))) found.push({ entity, name });
    }
  }
  // Where names are as long, in the order that the types were asked for.
  found.sort((a, b) => a.name.length - b.name.length);
  const most = typeof max === 'number' ? max : RESULTS_DEFAULT;
  return { matches: found.slice(0, most).map(({ entity }) => match(view, entity)), terms };
}
