import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { type EntityLink, type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import type { EventChange, EventLogEntry, NormalizedEvent } from '@understudy/domain/event';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { identifierField } from '@understudy/schema/display-name';

const EVENT_TYPE = /^Shotgun_(.+)_(New|Change|Retirement|Revival|Delete)$/;

type Meta = Readonly<Record<string, Json>>;

/**
 * Says what an event means to the replica (protocol §6.2–6.4). Whatever is not certain becomes a refresh of its entity;
 * whatever concerns nothing that is kept is ignored. Never throws.
 */
export function normalizeEvent(
  entry: EventLogEntry,
  context: { readonly tick: number; readonly late: boolean; readonly schema: CachedSchema },
): NormalizedEvent {
  const { change, touched } = meaning(entry, context.schema);
  return {
    id: entry.id,
    tick: context.tick,
    createdAt: entry.created_at,
    late: context.late,
    user: isEntityRef(entry.user) ? { type: entry.user.type, id: entry.user.id } : null,
    change,
    touched,
  };
}

interface Meaning {
  readonly change: EventChange;
  readonly touched: readonly EntityRef[];
}

const only = (change: EventChange): Meaning => ({ change, touched: [] });

function meaning(entry: EventLogEntry, schema: CachedSchema): Meaning {
  const match = EVENT_TYPE.exec(entry.event_type);
  const [, type = '', action = ''] = match ?? [];
  if (match === null) return only({ kind: 'ignore', reason: 'not a change of data' });
  if (type === 'DisplayColumn') return only({ kind: 'schema', reason: `field schema: ${action}` });
  const meta = isObject(entry.meta) ? entry.meta : {};
  if (typeof meta['actual_attribute_changed'] === 'string')
    return only(backReference(entry, type, meta, schema));
  const target = targetOf(entry, type, meta);
  if (target === null) return only({ kind: 'ignore', reason: 'names no entity' });
  // Such as Shotgun_Reading_Change of a Note: it tells what somebody did, and not whether the entity changed.
  if (target.type !== type) return only({ kind: 'refresh', target, reason: `an event of ${type}` });
  switch (action) {
    case 'New':
      return only({ kind: 'new', target });
    case 'Retirement':
      return only({ kind: 'retire', target });
    case 'Revival':
      return only({ kind: 'revive', target });
    case 'Change':
      return attributeChange(entry, target, meta, schema);
    default:
      return only({ kind: 'refresh', target, reason: `unknown action ${action}` });
  }
}

function isObject(value: unknown): value is Meta {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The entity an event is about: from its meta, which outlives retirement (protocol §6.4), else from its link. */
function targetOf(entry: EventLogEntry, type: string, meta: Meta): EntityRef | null {
  const id = meta['entity_id'];
  if (meta['entity_type'] === type && Number.isSafeInteger(id)) return { type, id: id as number };
  return isEntityRef(entry.entity) ? { type: entry.entity.type, id: entry.entity.id } : null;
}

/** The other side of a link: its entity is the event's, never meta's (protocol §6.3). */
function backReference(entry: EventLogEntry, type: string, meta: Meta, schema: CachedSchema): EventChange {
  if (!isEntityRef(entry.entity)) return { kind: 'ignore', reason: 'back-reference of a retired entity' };
  const target = { type: entry.entity.type, id: entry.entity.id };
  const [added, removed] = [links(meta['added']), links(meta['removed'])];
  if (target.type !== type || entry.attribute_name === null || added === null || removed === null) {
    return { kind: 'refresh', target, reason: 'back-reference in doubt' };
  }
  if (schema.types.get(type)?.fields.has(entry.attribute_name) !== true)
    return { kind: 'refresh', target, reason: 'the other side of a link is not kept' };
  return { kind: 'links', target, field: entry.attribute_name, added, removed, isOtherSide: true };
}

function attributeChange(entry: EventLogEntry, target: EntityRef, meta: Meta, schema: CachedSchema): Meaning {
  const field = entry.attribute_name ?? meta['attribute_name'];
  if (typeof field !== 'string') return only({ kind: 'refresh', target, reason: 'names no field' });
  if (field === 'retirement_date') return only({ kind: 'ignore', reason: 'told by the retirement itself' });
  const touched = [meta['old_value'], meta['new_value']].flatMap((value) =>
    isEntityRef(value) ? [plain(value)] : [],
  );
  const cached = schema.types.get(target.type)?.fields.get(field);
  const dataType = meta['field_data_type'];
  if (cached === undefined || cached.absent) {
    // Not kept, but its change moved updated_at, and a name may be in it.
    if (!('new_value' in meta) && field === identifierField(target.type, schema))
      return { change: { kind: 'refresh', target, reason: 'its name is not told' }, touched };
    const value = meta['new_value'] ?? null;
    return { change: { kind: 'set', target, field, dataType: String(dataType), value }, touched };
  }
  if (dataType !== undefined && dataType !== cached.dataType) {
    return { change: { kind: 'refresh', target, reason: `${field} has another data type` }, touched };
  }
  if (DATA_TYPES[cached.dataType].storage === 'links') {
    const [added, removed] = [links(meta['added']), links(meta['removed'])];
    if (added === null || removed === null)
      return { change: { kind: 'refresh', target, reason: 'links in doubt' }, touched };
    const both = [...added, ...removed].map(plain);
    return { change: { kind: 'links', target, field, added, removed, isOtherSide: false }, touched: both };
  }
  if (!('new_value' in meta))
    return { change: { kind: 'refresh', target, reason: `no value of ${field}` }, touched };
  const value = DATA_TYPES[cached.dataType].parseEventValue(meta['new_value']);
  if (value === undefined)
    return { change: { kind: 'refresh', target, reason: `value of ${field} in doubt` }, touched };
  return { change: { kind: 'set', target, field, dataType: cached.dataType, value }, touched };
}

const plain = (ref: EntityRef): EntityRef => ({ type: ref.type, id: ref.id });

/** A list of links as the project writes them, or null where it is something else. */
function links(value: Json | undefined): readonly EntityLink[] | null {
  if (!Array.isArray(value) || !value.every(isEntityRef)) return null;
  return value.map((item) => {
    const name = (item as { name?: unknown }).name;
    return { type: item.type, id: item.id, name: typeof name === 'string' ? name : null };
  });
}
