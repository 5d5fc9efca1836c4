import { type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import { uuidOf } from '../auth.ts';
import type { Caller, Site } from '../caller.ts';
import { wireTime } from '../event-log.ts';
import { rowOf } from '../rows.ts';
import { badData, badRequest } from '../site-fault.ts';
import type { WriteTransaction } from '../write-transaction.ts';

/** Fields of an EventLogEntry that a script may give. */
const WRITABLE: ReadonlySet<string> = new Set([
  'event_type',
  'attribute_name',
  'entity',
  'project',
  'user',
  'meta',
  'description',
  'session_uuid',
]);

/**
 * Adds an entry of the caller's own to the event log (protocol §6.1), once the transaction is committed.
 * @param asked the fields that the reply shows besides those given. @returns what gives the reply's row.
 */
export function createLogEntry(
  site: Site,
  caller: Caller,
  transaction: WriteTransaction,
  values: ReadonlyMap<string, Json>,
  asked: readonly string[],
): () => Json {
  for (const name of values.keys()) {
    if (WRITABLE.has(name)) continue;
    const what = site.data.field('EventLogEntry', name) === undefined ? "doesn't exist" : 'is read only';
    throw badRequest(`API create() EventLogEntry.${name} ${what}.`);
  }
  const text = (name: string): string | null => {
    const value = values.get(name);
    return typeof value === 'string' ? value : null;
  };
  const link = (name: string): EntityRef | null => {
    const value = values.get(name) ?? null;
    if (value === null) return null;
    if (!isEntityRef(value) || site.data.find(value) === undefined) {
      throw badData(
        `API create() CRUD ERROR #5: Create failed for [EventLogEntry.${name}]: Value is not legal.`,
      );
    }
    return { type: value.type, id: value.id };
  };
  const eventType = text('event_type');
  if (eventType === null) throw badRequest("API create() missing 'event_type' attribute");
  const event = {
    eventType,
    attribute: text('attribute_name'),
    entity: link('entity'),
    project: link('project'),
    user: link('user') ?? caller.actor.user,
    meta: values.get('meta') ?? null,
    createdAt: wireTime(caller.now),
    description: text('description'),
    sessionUuid: uuidOf(text('session_uuid')) ?? caller.actor.sessionUuid,
  };
  const id = transaction.addLogEntry(event);
  return () => {
    const entry = site.data.events.find(id);
    if (entry === undefined) throw new RangeError(`event ${id} was not published`);
    return rowOf(caller.view('create'), entry, [...values.keys(), ...asked]);
  };
}
