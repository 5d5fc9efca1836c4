import type { Json } from '@understudy/domain/entity';
import type { Changes } from './changes.ts';
import type { StoredEntity } from './entity-table.ts';

/** Gives an entity a thumbnail; its id is what the event tells (protocol §6.3). */
export function setThumbnail(
  changes: Changes,
  entity: StoredEntity,
  field: string,
  id: number,
  isTransient: boolean,
): void {
  const before = entity.stored(field);
  changes.store(entity, field, id);
  tell(changes, entity, field, before, id, isTransient);
  changes.touch(entity);
}

/** Tells, by a second event, that a thumbnail is no longer being made. */
export function thumbnailReady(changes: Changes, entity: StoredEntity, field: string, id: number): void {
  tell(changes, entity, field, null, id, false);
  changes.touch(entity);
}

function tell(
  changes: Changes,
  entity: StoredEntity,
  field: string,
  before: Json,
  after: Json,
  isTransient: boolean,
): void {
  changes.event('Change', entity, field, {
    type: 'attribute_change',
    entity_type: entity.type,
    entity_id: entity.id,
    attribute_name: field,
    field_data_type: 'image',
    old_value: before,
    new_value: after,
    is_transient: isTransient,
  });
}
