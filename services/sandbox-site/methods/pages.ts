import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { Caller, Site } from '../caller.ts';
import { badRequest } from '../site-fault.ts';

/** `nav_expand`: the projects at the root, and nothing below. */
export function navExpand(site: Site, caller: Caller, payload: unknown): Json {
  const { path } = (payload ?? {}) as { path?: unknown };
  if (typeof path !== 'string') throw badRequest("API nav_expand() invalid/missing string 'path'");
  const view = caller.view('nav_expand');
  const node = (label: string | null, at: string, hasChildren: boolean): Record<string, Json> => ({
    label,
    path: at,
    has_children: hasChildren,
    ref: { kind: hasChildren ? 'root' : 'entity', value: null },
    target_entities: { type: null, additional_filter_presets: [] },
  });
  const children: Json[] = [];
  if (path === '/') {
    for (const project of site.data.all('Project')) {
      if (project.retired || !view.sees(project)) continue;
      children.push(node(site.data.displayName(project), `/Project/${project.id}`, false));
    }
  }
  return { ...node(path === '/' ? 'Root' : path, path, children.length > 0), children };
}

/** Marks a project as seen by the caller just now; a per-user value (protocol §3.4, §5.9). */
export function updateProjectLastAccessed(site: Site, caller: Caller, payload: unknown): Json {
  const method = 'update_project_last_accessed_by_current_user';
  const { project_id: id, user_id: asked } = (payload ?? {}) as { project_id?: unknown; user_id?: unknown };
  const project = typeof id === 'number' ? site.data.stored({ type: 'Project', id }) : undefined;
  const user = typeof asked === 'number' ? { type: 'HumanUser', id: asked } : caller.actor.user;
  if (project === undefined || project.retired)
    throw badRequest(`API ${method}() Project ${String(id)} not found`);
  if (!isEntityRef(user) || site.data.find(user) === undefined)
    throw badRequest(`API ${method}() no such user`);
  site.data.setPerUser(project, 'last_accessed_by_current_user', user, caller.nowText);
  return { type: 'Project', id: project.id, last_accessed_by_current_user: caller.nowText };
}
