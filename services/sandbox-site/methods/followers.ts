import { type EntityRef, isEntityRef, type Json, refKey } from '@understudy/domain/entity';
import type { Caller, Site } from '../caller.ts';
import type { StoredEntity } from '../entity-table.ts';
import { badData, badRequest } from '../site-fault.ts';

/** Who follows an entity lies beside its fields. */
const FOLLOWERS = '_followers';

function reference(method: string, name: string, payload: unknown): EntityRef {
  const value = (payload as Record<string, unknown> | null | undefined)?.[name];
  if (!isEntityRef(value)) {
    throw badRequest(`API ${method}() invalid/missing entity hash '${name}': ${JSON.stringify(value)}`);
  }
  return { type: value.type, id: value.id };
}

function existing(site: Site, caller: Caller, method: string, name: string, payload: unknown): StoredEntity {
  const ref = reference(method, name, payload);
  const entity = site.data.stored(ref);
  if (entity === undefined || entity.retired || !caller.view(method).sees(entity)) {
    throw badData(
      `API ${method}() CRUD ERROR #3: Entity of type [${ref.type}] with id=${ref.id} does not exist.`,
    );
  }
  return entity;
}

const followersOf = (entity: StoredEntity): readonly EntityRef[] =>
  (entity.stored(FOLLOWERS) ?? []) as unknown as EntityRef[];

/** follow and unfollow; to repeat one is harmless (protocol §5.9). */
function setFollowing(site: Site, caller: Caller, method: 'follow' | 'unfollow', payload: unknown): Json {
  const user = existing(site, caller, method, 'user', payload);
  const entity = existing(site, caller, method, 'entity', payload);
  const others = followersOf(entity).filter((item) => refKey(item) !== refKey(user));
  const me = { type: user.type, id: user.id };
  site.data.set(entity, FOLLOWERS, (method === 'follow' ? [...others, me] : others) as unknown as Json);
  const given = payload as { user: Json; entity: Json };
  return { [`${method}ed`]: true, user: given.user, entity: given.entity };
}

export const follow = (site: Site, caller: Caller, payload: unknown): Json =>
  setFollowing(site, caller, 'follow', payload);
export const unfollow = (site: Site, caller: Caller, payload: unknown): Json =>
  setFollowing(site, caller, 'unfollow', payload);

export function followers(site: Site, caller: Caller, payload: unknown): Json {
  const entity = existing(site, caller, 'followers', 'entity', payload);
  return followersOf(entity).flatMap((ref) => {
    const link = site.data.link(ref as unknown as Json);
    if (link === null) return [];
    const status = site.data.find(link)?.stored('sg_status_list') ?? null;
    return [{ ...link, status, valid: 'valid' }];
  });
}

/** What a user follows, of one project or type if asked. */
export function following(site: Site, caller: Caller, payload: unknown): Json {
  const user = existing(site, caller, 'following', 'user', payload);
  const { project, entity_type: wanted } = payload as { project?: unknown; entity_type?: unknown };
  const found: Json[] = [];
  for (const type of site.data.schema.keys()) {
    if (typeof wanted === 'string' && type !== wanted) continue;
    for (const id of site.data.linkedFrom(user, type, FOLLOWERS)) {
      const entity = site.data.stored({ type, id });
      if (entity === undefined || entity.retired) continue;
      const home = entity.stored('project');
      if (isEntityRef(project) && !(isEntityRef(home) && home.id === project.id)) continue;
      found.push({ type, id });
    }
  }
  return found;
}
