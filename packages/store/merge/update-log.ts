import type { EntityRef, Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import { arrayLiteral } from './columns.ts';
import type { Source } from './origin.ts';

/**
 * Name of the log's entries about a row as a whole: `new` is true where it appeared; where it vanished, `old` holds all
 * its values.
 */
export const ROW = '_row';

/** One change that the replica made to itself. */
export interface DataUpdate {
  readonly type: string;
  readonly id: number;
  /** `_active` for retirement and revival, `_row` for the row as a whole. */
  readonly field: string;
  /** In wire form, links without names; of a list one link that was removed (`old`) or added (`new`). */
  readonly old: Json;
  readonly new: Json;
  readonly tick: number;
  readonly source: Source;
  readonly eventId: number | null;
  readonly user: EntityRef | null;
}

/** Writes entries into the data-update log, in their order, in the transaction that made the changes. */
export async function logUpdates(tx: Queryable, updates: readonly DataUpdate[]): Promise<void> {
  if (updates.length === 0) return;
  const array = (of: (update: DataUpdate) => Json, sqlType: string): string =>
    arrayLiteral(updates.map(of), sqlType);
  await tx.query({
    name: 'log-updates',
    text: `insert into understudy.data_update
        (tick, entity_type, entity_id, field, old, new, source, event_id, user_type, user_id)
      select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::jsonb[], $6::jsonb[], $7::text[],
        $8::bigint[], $9::text[], $10::bigint[])`,
    values: [
      array((one) => one.tick, 'bigint'),
      array((one) => one.type, 'text'),
      array((one) => one.id, 'bigint'),
      array((one) => one.field, 'text'),
      array((one) => one.old, 'jsonb'),
      array((one) => one.new, 'jsonb'),
      array((one) => one.source, 'text'),
      array((one) => one.eventId, 'bigint'),
      array((one) => one.user?.type ?? null, 'text'),
      array((one) => one.user?.id ?? null, 'bigint'),
    ],
  });
}
