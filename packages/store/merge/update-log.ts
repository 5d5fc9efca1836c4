import type { EntityRef, Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import { fewStatements } from '../statement.ts';
import { arrayParameter, valueParameter } from './array-parameter.ts';
import type { Source } from './origin.ts';

/**
 * Name of the log's entries about a row as a whole: `new` is true where it appeared; where it vanished, `old` holds all
 * its values.
 */
export const ROW = '_row';

/** Name of an entry about fields of a row: `more` holds each of them, with its value before and after. */
export const FIELDS = '_fields';

/** Name of an entry about many rows that appeared: `more` holds their ids, `old` and `new` the lowest and the highest. */
export const ROWS = '_rows';

/** Name of an entry about many rows that changed: `more` holds for each by its id what `_fields` has; the rest as `_rows`. */
export const MANY = '_many';

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

/** Changes of one row that were told at once, each of another field: one entry of the log. */
type Entry = [first: DataUpdate, ...more: DataUpdate[]];

/** Neighbours that one event, write or fetch made of one row; each keeps its place. A row as a whole stands alone. */
function entriesOf(updates: readonly DataUpdate[]): readonly Entry[] {
  const entries: Entry[] = [];
  for (const update of updates) {
    const last = entries.at(-1);
    if (last !== undefined && isToldWith(last, update)) last.push(update);
    else entries.push([update]);
  }
  return entries;
}

function isToldWith(entry: Entry, { type, id, field, tick, eventId }: DataUpdate): boolean {
  const [first] = entry;
  return (
    first.id === id &&
    first.tick === tick &&
    first.eventId === eventId &&
    first.type === type &&
    first.field !== ROW &&
    field !== ROW &&
    !entry.some((one) => one.field === field)
  );
}

/** Field → its value before and after, as JSON text. */
function moreOf(entry: Entry): string | null {
  if (entry[0].field === ROW) return null;
  return `{${entry.map((one) => `${JSON.stringify(one.field)}:${JSON.stringify([one.old, one.new])}`).join(',')}}`;
}

/**
 * Writes changes into the data-update log, in their order, in the transaction that made them. What was told of a row at
 * once is one entry; `understudy.data_update_field` shows each change by itself.
 */
export async function logUpdates(tx: Queryable, updates: readonly DataUpdate[]): Promise<void> {
  if (updates.length === 0) return;
  const entries = entriesOf(updates);
  const values: (Buffer | string | number | boolean | null)[] = [];
  // Many columns have the same value in all entries: an array of each would cost as much as the insert.
  const column = (of: (update: DataUpdate) => Json, sqlType: string): string => {
    const ofColumn = entries.map(([first]) => of(first));
    const [value = null] = ofColumn;
    const isConstant = ofColumn.every((one) => one === value);
    values.push(isConstant ? valueParameter(value, sqlType) : arrayParameter(ofColumn, sqlType));
    const parameter = `$${values.length}::${sqlType}`;
    return isConstant ? parameter : `unnest(${parameter}[])`;
  };
  const columns = [
    column((one) => one.tick, 'bigint'),
    column((one) => one.type, 'text'),
    column((one) => one.id, 'bigint'),
    column((one) => (one.field === ROW ? ROW : FIELDS), 'text'),
    column((one) => (one.field === ROW ? one.old : null), 'jsonb'),
    column((one) => (one.field === ROW ? one.new : null), 'jsonb'),
    column((one) => one.source, 'text'),
    column((one) => one.eventId, 'bigint'),
    column((one) => one.user?.type ?? null, 'text'),
    column((one) => one.user?.id ?? null, 'bigint'),
  ];
  values.push(arrayParameter(entries.map(moreOf), 'json'));
  const text = `insert into understudy.data_update
      (tick, entity_type, entity_id, field, old, new, source, event_id, user_type, user_id, more)
    select ${columns.join(', ')}, unnest($${values.length}::json[])`;
  await tx.query({ ...fewStatements(logUpdates, 'log-updates', text), values });
}
