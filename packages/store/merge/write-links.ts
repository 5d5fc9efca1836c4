import type { EntityRef } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
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
}

/** Writes links of rows that the transaction has locked: one statement for those that stay, one for those that go. */
export async function writeLinks(tx: Queryable, table: string, writes: readonly LinkWrite[]): Promise<void> {
  const gone = writes.filter((write) => write.state === 'gone');
  const kept = writes.filter((write) => write.state !== 'gone');
  const keys = (some: readonly LinkWrite[]): (Buffer | string)[] => [
    arrayParameter(
      some.map((one) => one.id),
      'bigint',
    ),
    arrayParameter(
      some.map((one) => one.target.type),
      'text',
    ),
    arrayParameter(
      some.map((one) => one.target.id),
      'bigint',
    ),
  ];
  if (gone.length > 0)
    await tx.query({
      ...statement(
        'remove-links',
        `delete from ${table} l using unnest($1::bigint[], $2::text[], $3::bigint[]) as g(entity_id, target_type, target_id)
        where l.entity_id = g.entity_id and l.target_type = g.target_type and l.target_id = g.target_id`,
      ),
      values: keys(gone),
    });
  if (kept.length > 0)
    await tx.query({
      ...statement(
        'write-links',
        `insert into ${table} (entity_id, target_type, target_id, _removed, _tick)
        select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[], $5::bigint[])
        on conflict (entity_id, target_type, target_id)
          do update set _removed = excluded._removed, _tick = excluded._tick`,
      ),
      values: [
        ...keys(kept),
        arrayParameter(
          kept.map((one) => one.state === 'removed'),
          'boolean',
        ),
        arrayParameter(
          kept.map((one) => one.tick),
          'bigint',
        ),
      ],
    });
}
