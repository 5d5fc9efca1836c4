import type { EntityRef, Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import { arrayParameter } from './array-parameter.ts';
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

/** Changes of one row that were told at once: one entry of the log. */
interface Entry {
  readonly first: DataUpdate;
  /** What else changed, one change a field. */
  readonly more: DataUpdate[];
}

/** Neighbours that one event, write or fetch made of one row; each keeps its place. A row as a whole stands alone. */
function entriesOf(updates: readonly DataUpdate[]): readonly Entry[] {
  const entries: Entry[] = [];
  let last: Entry | undefined;
  for (const update of updates) {
    const { first, more } = last ?? {};
    const isTogether =
      first !== undefined &&
      more !== undefined &&
      first.id === update.id &&
      first.tick === update.tick &&
      first.eventId === update.eventId &&
      first.type === update.type &&
      first.field !== ROW &&
      update.field !== ROW &&
      first.field !== update.field &&
      !more.some(({ field }) => field === update.field);
    if (isTogether) {
      more.push(update);
      continue;
    }
    last = { first: update, more: [] };
    entries.push(last);
  }
  return entries;
}

/** Field → its value before and after, as JSON text. */
function moreOf({ more }: Entry): string | null {
  if (more.length === 0) return null;
  return `{${more.map((one) => `${JSON.stringify(one.field)}:${JSON.stringify([one.old, one.new])}`).join(',')}}`;
}

/**
 * Writes changes into the data-update log, in their order, in the transaction that made them. What was told of a row at
 * once is one entry; `understudy.data_update_field` shows each change by itself.
 */
export async function logUpdates(tx: Queryable, updates: readonly DataUpdate[]): Promise<void> {
  if (updates.length === 0) return;
  const entries = entriesOf(updates);
  const array = (of: (update: DataUpdate) => Json, sqlType: string): Buffer | string =>
    arrayParameter(
      entries.map(({ first }) => of(first)),
      sqlType,
    );
  await tx.query({
    name: 'log-updates',
    text: `insert into understudy.data_update
        (tick, entity_type, entity_id, field, old, new, source, event_id, user_type, user_id, more)
      select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::jsonb[], $6::jsonb[], $7::text[],
        $8::bigint[], $9::text[], $10::bigint[], $11::json[])`,
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
      arrayParameter(entries.map(moreOf), 'json'),
    ],
  });
}
