import type { Json } from '@understudy/domain/entity';
import type { Caller, Site } from '../caller.ts';
import type { Entity } from '../entity-table.ts';
import { rowOf } from '../rows.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';
import { fieldsAsked, personShown, spokenTime } from './activity-stream.ts';

/** What is told of each type without being asked (protocol §5.9). */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Note: ['content', 'created_at', 'created_by'],
  Reply: ['content', 'created_at', 'user'],
  Attachment: ['created_at', 'created_by'],
};

function shown(view: SiteView, entity: Entity, payload: Readonly<Record<string, Json>>): Json {
  const { type } = entity;
  const row = rowOf(view, entity, [...(FIELDS[type] ?? []), ...fieldsAsked(payload, type)]) as Record<
    string,
    Json
  >;
  const person = type === 'Reply' ? { user: personShown(view, entity.stored('user')) } : {};
  return { ...row, ...person, created_at: spokenTime(entity.stored('created_at')) };
}

/** `note_thread_contents`: the Note, then its Replies and Attachments by time (protocol §5.9). */
export function noteThreadContents(site: Site, caller: Caller, raw: unknown): Json {
  const view = caller.view('note_thread_contents');
  const payload = (raw ?? {}) as Readonly<Record<string, Json>>;
  const id = payload['note_id'];
  const note = typeof id === 'number' ? view.find({ type: 'Note', id }) : undefined;
  if (note === undefined || note.retired) {
    throw badRequest(`API note_thread_contents() Note with id=${String(id)} does not exist.`);
  }
  const linked = [
    { type: 'Reply', field: 'entity' },
    { type: 'Attachment', field: 'attachment_links' },
  ].flatMap(({ type, field }) =>
    site.data.linkedFrom(note, type, field).flatMap((linkedId) => view.find({ type, id: linkedId }) ?? []),
  );
  const time = (entity: Entity): string => String(entity.stored('created_at'));
  const thread = linked
    .filter((entity) => !entity.retired)
    .sort((a, b) => (time(a) === time(b) ? a.id - b.id : time(a) < time(b) ? -1 : 1));
  return [note, ...thread].map((entity) => shown(view, entity, payload));
}
