import type { Json } from '@understudy/domain/entity';
import type { Changes } from './changes.ts';
import type { StoredEntity } from './entity-table.ts';

/** Types whose retirement takes others along: linked by this field of that type (protocol §3.4). */
const CASCADES: Readonly<Record<string, readonly (readonly [type: string, field: string])[]>> = {
  Shot: [['Version', 'entity']],
  Asset: [['Version', 'entity']],
  Cut: [['CutItem', 'cut']],
  Note: [['Reply', 'entity']],
};

/** Retires an entity and those that go with it. @returns whether it was alive. */
export function retire(changes: Changes, entity: StoredEntity): boolean {
  if (entity.retired) return false;
  const { data } = changes;
  const date = spoken(changes.now);
  const meta = { type: 'entity_retirement', ...about(changes, entity), retirement_date: date };
  changes.event('Retirement', entity, null, meta);
  tellDate(changes, entity, null, date);
  data.setRetired(entity, true);
  changes.onRollback(() => data.setRetired(entity, false));
  changes.touch(entity);
  for (const [type, field] of CASCADES[entity.type] ?? []) {
    for (const id of data.linkedFrom(entity, type, field)) {
      const linked = data.stored({ type, id });
      if (linked !== undefined) retire(changes, linked);
    }
  }
  return true;
}

/** Revives an entity; those that went with it stay retired. @returns whether it was retired. */
export function revive(changes: Changes, entity: StoredEntity): boolean {
  if (!entity.retired) return false;
  changes.data.setRetired(entity, false);
  changes.onRollback(() => changes.data.setRetired(entity, true));
  changes.event('Revival', entity, null, { type: 'entity_revival', ...about(changes, entity) });
  tellDate(changes, entity, spoken(changes.now), null);
  changes.touch(entity);
  return true;
}

const spoken = (moment: string): string => moment.replace('T', ' ').replace('Z', ' UTC');

function about({ data }: Changes, entity: StoredEntity): Record<string, Json> {
  return {
    class_name: entity.type,
    display_name: data.displayName(entity),
    entity_type: entity.type,
    entity_id: entity.id,
    id: entity.id,
  };
}

/** The date is told by an event of its own (protocol §6.3). */
function tellDate(changes: Changes, entity: StoredEntity, before: Json, after: Json): void {
  changes.event('Change', entity, 'retirement_date', {
    type: 'attribute_change',
    entity_type: entity.type,
    entity_id: entity.id,
    attribute_name: 'retirement_date',
    field_data_type: 'date_time',
    old_value: before,
    new_value: after,
  });
}
