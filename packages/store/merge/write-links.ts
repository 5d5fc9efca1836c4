import type { EntityRef } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import { sentTogether } from '../sent-together.ts';
import { statement } from '../statement.ts';
import { arrayParameter } from './array-parameter.ts';

/** What becomes of one link of a multi-entity field. */
export interface LinkWrite {
  readonly id: number;
  readonly target: EntityRef;
  /** `gone`: not even a tombstone is kept. */
  readonly state: 'there' | 'removed' | 'gone';
  /** Stamp of the link; null after a fetch. */
  readonly tick: number | null;
  /** Whether the replica has it, or a tombstone of it. */
  readonly isKnown: boolean;
}

/**
 * Writes links of rows that the transaction has locked, so that nobody else does: one statement for those that stay, one for
 * those that come and one for those that go.
 */
export async function writeLinks(tx: Queryable, table: string, writes: readonly LinkWrite[]): Promise<void> {
  const gone = writes.filter((write) => write.state === 'gone');
  const kept = writes.filter((write) => write.state !== 'gone');
  const known = kept.filter((write) => write.isKnown);
  const come = kept.filter((write) => !write.isKnown);
  const where = `l.entity_id = w.entity_id and l.target_type = w.target_type and l.target_id = w.target_id`;
  const work: Promise<unknown>[] = [];
  if (gone.length > 0)
    work.push(
      tx.query({
        ...statement(
          'remove-links',
          `delete from ${table} l using unnest(${KEYS}) as w(${NAMES}) where ${where}`,
        ),
        values: keysOf(gone),
      }),
    );
  if (known.length > 0)
    work.push(
      tx.query({
        ...statement(
          'write-links',
          `update ${table} l set _removed = w._removed, _tick = w._tick
           from unnest(${KEYS}, ${STATES}) as w(${NAMES}, _removed, _tick) where ${where}`,
        ),
        values: [...keysOf(known), ...statesOf(known)],
      }),
    );
  if (come.length > 0)
    work.push(
      tx.query({
        ...statement(
          'add-links',
          `insert into ${table} (${NAMES}, _removed, _tick) select * from unnest(${KEYS}, ${STATES})`,
        ),
        values: [...keysOf(come), ...statesOf(come)],
      }),
    );
  await sentTogether(work);
}

const NAMES = 'entity_id, target_type, target_id';
const KEYS = '$1::bigint[], $2::text[], $3::bigint[]';
const STATES = '$4::boolean[], $5::bigint[]';

const keysOf = (writes: readonly LinkWrite[]): (Buffer | string)[] => [
  arrayParameter(
    writes.map((one) => one.id),
    'bigint',
  ),
  arrayParameter(
    writes.map((one) => one.target.type),
    'text',
  ),
  arrayParameter(
    writes.map((one) => one.target.id),
    'bigint',
  ),
];

const statesOf = (writes: readonly LinkWrite[]): (Buffer | string)[] => [
  arrayParameter(
    writes.map((one) => one.state === 'removed'),
    'boolean',
  ),
  arrayParameter(
    writes.map((one) => one.tick),
    'bigint',
  ),
];
