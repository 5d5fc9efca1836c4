import { type EntityLink, isEntityRef } from '@understudy/domain/entity';
import type { Entity } from '../entity-table.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';

/** `$FROM$Type.field.leaf`: what of another type links here by one of its fields (protocol §4.1). */
export interface FromPath {
  readonly type: string;
  readonly field: string;
  /** The path that goes on from there. */
  readonly rest: readonly string[];
}

export const FROM_PREFIX = '$FROM$';

/** @throws SandboxFault 103 for a type or field that is not there. */
export function parseFromPath(view: SiteView, type: string, path: string): FromPath {
  const [from = '', field = '', ...rest] = path.slice(FROM_PREFIX.length).split('.');
  if (view.field(from, field) === undefined || rest.length === 0) {
    throw badRequest(`API ${view.method}() ${type}.${path} doesn't exist.`);
  }
  return { type: from, field, rest };
}

/** Alive entities that link here, by `path.field`. */
export function linkingFrom(view: SiteView, path: FromPath, target: Entity): Entity[] {
  if (path.type !== 'EventLogEntry') {
    return view.data.linkedFrom(target, path.type, path.field).flatMap((id) => {
      const source = view.find({ type: path.type, id });
      return source === undefined || source.retired ? [] : [source];
    });
  }
  const found: Entity[] = [];
  for (const event of view.rows(path.type).range(1, Number.MAX_SAFE_INTEGER)) {
    const link = event.stored(path.field);
    if (isEntityRef(link) && isSame(link, target)) found.push(event);
  }
  return found;
}

const isSame = (link: Pick<EntityLink, 'type' | 'id'>, entity: Entity): boolean =>
  link.type === entity.type && link.id === entity.id;
