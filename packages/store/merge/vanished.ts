import type { Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { literal, scalarFields } from './columns.ts';
import { type Origin, UNLOGGED } from './origin.ts';
import { logUpdates, ROW } from './update-log.ts';

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

/** Whether nothing newer than the tick `$2` was heard of a row `d`. */
const NOTHING_LATER = `d._fetched_tick < $2
  and not exists (select from jsonb_each_text(d._stamps) s where s.value::bigint > $2)`;

/**
 * Removes rows that the site no longer has at all, unless something newer than `tick` was heard of them. The log keeps
 * all their values.
 * @returns ids of those that stay since an event or write has told of them later: they must be fetched again.
 */
export async function removeVanished(
  tx: Queryable,
  table: EntityTable,
  ids: readonly number[],
  tick: number,
  origin: Origin = UNLOGGED,
): Promise<readonly number[]> {
  if (ids.length === 0) return [];
  // Whoever holds a row may be changing its links: a statement that waited for it would see the row as it is then, and the
  // links as they were before.
  await tx.query(`select from ${table.sqlName} where id = any($1::bigint[]) order by id for update`, [ids]);
  const { rows } = await tx.query<{ id: string; values: Json }>(
    `delete from ${table.sqlName} d where id = any($1::bigint[]) and ${NOTHING_LATER}
     returning id, ${origin.logged ? rowSql(table) : 'null'} as values`,
    [ids, tick],
  );
  const removed = rows.map((row) => row.id);
  for (const storage of table.fields.values()) {
    if (storage.kind === 'links')
      await tx.query(`delete from ${storage.table} where entity_id = any($1::bigint[])`, [removed]);
  }
  if (origin.logged) {
    const { source, user = null } = origin;
    await logUpdates(
      tx,
      rows.map((row) => ({
        type: table.type,
        id: Number(row.id),
        field: ROW,
        old: row.values,
        new: null,
        tick,
        source,
        eventId: null,
        user,
      })),
    );
  }
  // One that was found gone before is gone since now: no answer from between may bring it back.
  await tx.query(
    `update understudy.link_target set active = false, _tick = $3
     where entity_type = $1 and _tick < $3 and (entity_id = any($2::bigint[]) or (entity_id = any($4::bigint[])
       and not active and not exists (select from ${table.sqlName} d where d.id = entity_id)))`,
    [table.type, removed, tick, ids],
  );
  const { rows: kept } = await tx.query<{ id: string }>(
    `select id from ${table.sqlName} where id = any($1::bigint[]) and _fetched_tick < $2 order by id`,
    [ids, tick],
  );
  return kept.map((row) => Number(row.id));
}

/** PostgreSQL takes at most 100 arguments to a function, two for each field here. */
const FIELDS_AT_ONCE = 40;

/** SQL of a whole row `d` as jsonb, lists of links with it. */
function rowSql(table: EntityTable): string {
  const parts = [...scalarFields(table).values()].map(
    (field) => `${literal(field.name)}, ${field.wireSql('d')}`,
  );
  for (const [name, storage] of table.fields) {
    if (storage.kind === 'links')
      parts.push(`${literal(name)}, (select coalesce(jsonb_agg(jsonb_build_object('type', target_type, 'id', target_id)
        order by target_type, target_id), '[]'::jsonb) from ${storage.table} l where l.entity_id = d.id and not l._removed)`);
  }
  const objects: string[] = [];
  for (let at = 0; at < parts.length; at += FIELDS_AT_ONCE)
    objects.push(`jsonb_build_object(${parts.slice(at, at + FIELDS_AT_ONCE).join(', ')})`);
  return objects.join(' || ');
}
