import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';

/** Rows in an id range that a scan of it, with the given tick, did not find alive or retired. */
export async function vanishedCandidates(
  q: Queryable,
  table: EntityTable,
  range: {
    readonly fromId: number;
    readonly toId: number;
    readonly seenIds: readonly number[];
    readonly tick: number;
  },
): Promise<readonly number[]> {
  const { rows } = await q.query<{ id: string }>(
    `select id from ${table.sqlName} where id between $1 and $2 and _fetched_tick < $3 and id <> all($4::bigint[]) order by id`,
    [range.fromId, range.toId, range.tick, range.seenIds],
  );
  return rows.map((row) => Number(row.id));
}

/** Removes rows that the site no longer has at all, unless something newer than `tick` was heard of them. */
export async function removeVanished(
  tx: Queryable,
  table: EntityTable,
  ids: readonly number[],
  tick: number,
): Promise<void> {
  if (ids.length === 0) return;
  const { rows } = await tx.query<{ id: string }>(
    `delete from ${table.sqlName} where id = any($1::bigint[]) and _fetched_tick < $2 returning id`,
    [ids, tick],
  );
  const removed = rows.map((row) => row.id);
  for (const storage of table.fields.values()) {
    if (storage.kind === 'links')
      await tx.query(`delete from ${storage.table} where entity_id = any($1::bigint[])`, [removed]);
  }
  await tx.query(
    `update understudy.link_target set active = false, _tick = $3
     where entity_type = $1 and entity_id = any($2::bigint[]) and _tick < $3`,
    [table.type, removed, tick],
  );
}
