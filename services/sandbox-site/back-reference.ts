import type { EntityRef } from '@understudy/domain/entity';
import type { Changes } from './changes.ts';
import type { StoredEntity } from './entity-table.ts';
import type { SandboxField } from './sandbox-schema.ts';

/** Tells of the other side of a link: the event is the target's, its meta the changed entity's (protocol §6.3). */
export function tellOtherSide(
  changes: Changes,
  link: {
    readonly entity: StoredEntity;
    readonly field: SandboxField;
    readonly target: EntityRef;
    readonly change: 'added' | 'removed';
    /** Of the event that told of this side. */
    readonly originalId: number | null;
  },
): void {
  const { entity, field, target, change, originalId } = link;
  const { data } = changes;
  const targetEntity = data.stored(target);
  if (targetEntity === undefined) return;
  for (const mirror of data.schema.get(target.type)?.fields.values() ?? []) {
    if (mirror.inverse?.type !== entity.type || mirror.inverse.field !== field.name) continue;
    const shown = changes.shown({ type: entity.type, id: entity.id });
    changes.event('Change', targetEntity, mirror.name, {
      type: 'attribute_change',
      actual_attribute_changed: `${entity.type}.${field.name}`,
      original_event_log_entry_id: originalId,
      entity_type: entity.type,
      entity_id: entity.id,
      attribute_name: mirror.name,
      field_data_type: field.dataType,
      added: change === 'added' ? [shown] : [],
      removed: change === 'removed' ? [shown] : [],
    });
  }
}
