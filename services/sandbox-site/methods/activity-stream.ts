import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { Caller, Site } from '../caller.ts';
import type { Entity } from '../entity-table.ts';
import { rowOf } from '../rows.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';
import { typedPayload } from './read.ts';

const LIMIT_DEFAULT = 500;
const UPDATE_TYPES: Readonly<Record<string, string>> = {
  New: 'create',
  Change: 'update',
  Retirement: 'delete',
  Revival: 'revive',
};

/** A moment as this call and the note thread write it: a client leaves it a string (protocol §1.5). */
export const spokenTime = (stored: Json): Json =>
  typeof stored === 'string' ? stored.replace('T', ' ').replace('Z', ' UTC') : null;

export function fieldsAsked(payload: Readonly<Record<string, Json>>, type: string): string[] {
  const asked = (payload['entity_fields'] ?? {}) as Record<string, unknown>;
  const fields = asked[type];
  return Array.isArray(fields) ? fields.filter((field) => typeof field === 'string') : [];
}

/** Somebody with picture and status. */
export function personShown(view: SiteView, stored: Json): Json {
  const link = view.data.link(stored);
  const person = link === null ? undefined : view.find(link);
  if (link === null || person === undefined) return null;
  const image = view.value(person, 'image');
  return { ...link, image, status: person.stored('sg_status_list') };
}

function update(view: SiteView, event: Entity, entity: Entity, fields: readonly string[]): Json {
  const action = String(event.stored('event_type')).split('_').at(-1) ?? '';
  const row = rowOf(view, entity, fields) as Record<string, Json>;
  return {
    id: event.id,
    update_type: UPDATE_TYPES[action] ?? 'update',
    created_at: spokenTime(event.stored('created_at')),
    created_by: personShown(view, event.stored('user')),
    meta: event.stored('meta'),
    primary_entity: {
      ...row,
      name: view.data.displayName(entity),
      status: entity.stored('sg_status_list'),
    },
    read: false,
  };
}

/** `activity_stream` (protocol §5.7): made of the event log, newest first. */
export function activityStream(_site: Site, caller: Caller, raw: unknown): Json {
  const view = caller.view('activity_stream');
  const payload = typedPayload(view, raw);
  const { type, id, max_id: maxId = null, min_id: minId = null, limit = null } = payload;
  if (typeof id !== 'number') throw badRequest("API activity_stream() invalid/missing integer 'id'");
  const entity = view.find({ type, id });
  if (entity === undefined || entity.retired) {
    throw badRequest(`API activity_stream() Entity of type [${type}] with id=${id} does not exist.`);
  }
  const from = typeof minId === 'number' ? minId : 1;
  const to = typeof maxId === 'number' ? maxId : Number.MAX_SAFE_INTEGER;
  const most = typeof limit === 'number' ? limit : LIMIT_DEFAULT;
  const fields = fieldsAsked(payload, type);
  const updates: Json[] = [];
  for (const event of view.data.events.range(from, to, true)) {
    const link = event.stored('entity');
    if (!isEntityRef(link) || link.type !== type || link.id !== id) continue;
    updates.push(update(view, event, entity, fields));
    if (updates.length >= most) break;
  }
  const ids = updates.map((item) => (item as { id: number }).id);
  return {
    entity_type: type,
    entity_id: id,
    earliest_update_id: ids.at(-1) ?? null,
    latest_update_id: ids[0] ?? null,
    updates,
  };
}
