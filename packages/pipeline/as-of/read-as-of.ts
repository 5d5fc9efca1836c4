import { type CompiledRead, compileRead, pageOf } from '@understudy/query/compile-read';
import { boundAt } from '@understudy/query/sql';
import { readUpdateLogSpan } from '@understudy/store/data-updates';
import type { Queryable } from '@understudy/store/database';
import { entityTable, type FieldStorage } from '@understudy/store/entity-tables';
import { ROWS } from '@understudy/store/followed-fields';
import type { Replica } from '../replica.ts';
import { type Stand, undoType } from './undo-type.ts';

/** The replica cannot say how it was then. */
export class AsOfRefused extends Error {
  override readonly name = 'AsOfRefused';
}

/**
 * A moment, or the moment after which an event of the site's log was applied. What an event put in doubt only shows from
 * the fetch on that settled it.
 */
export type Moment = { readonly event: number } | { readonly time: Date };

/**
 * Answers a read as the replica would have answered it at a moment: the data-update log is undone from now backwards for
 * the rows that changed since. Display names of links are those of now.
 * @param payload as of the API's `read` (protocol §3.1).
 * @returns the JSON text of the entities.
 * @throws AsOfRefused for a moment that the log does not reach, and for a read that only the site can answer.
 */
export async function readAsOf(replica: Replica, payload: unknown, moment: Moment | null): Promise<string> {
  const servedTypes = new Set(replica.schema.types.keys());
  const read = compileRead(payload, { schema: replica.schema, servedTypes });
  if ('passThrough' in read)
    throw new AsOfRefused(`only the site can answer this: ${read.passThrough} (${read.detail})`);
  const client = await replica.db.pool.connect();
  try {
    await client.query('begin isolation level repeatable read');
    const sql = moment === null ? read.sql : await asOf(client, replica, read, moment);
    const now = moment !== null && 'time' in moment ? moment.time : new Date();
    const { rows } = await client.query<{ entity: string }>(sql, boundAt(read.params, now));
    return pageOf(
      read,
      rows.map((row) => row.entity),
    ).entities;
  } finally {
    // Everything made here was temporary.
    await client.query('rollback').finally(() => client.release());
  }
}

/** Makes what stands for the tables of a read. @returns its statement over them. */
async function asOf(tx: Queryable, replica: Replica, read: CompiledRead, moment: Moment): Promise<string> {
  const { cut, at } = await cutAt(tx, moment);
  const stand: Stand = new Map();
  for (const cached of replica.schema.types.values()) {
    const table = entityTable(cached);
    const tables = [
      table.sqlName,
      ...[...table.fields.values()].flatMap((one) => (one.kind === 'links' ? [one.table] : [])),
    ];
    // Whether a link's target was alive is in its own type's table.
    if (!tables.some((name) => read.sql.includes(name)) && !read.sql.includes('link_target')) continue;
    const isRead = tables.some((name) => read.sql.includes(name));
    if (!isRead) continue;
    // Only what is read: a field that came later, or with another data type, says nothing of the others.
    const fields = new Set(
      [...table.fields].flatMap(([name, storage]) =>
        placesOf(storage).some((place) => read.sql.includes(place)) ? [name] : [],
      ),
    );
    await refuseBefore(tx, table.type, [ROWS, ...fields], at);
    await undoType(tx, table, { cut, fields }, stand);
  }
  await tx.query(`create temp table lives on commit drop as
    select distinct on (entity_type, entity_id) entity_type, entity_id,
      case field when '_active' then old = 'true'::jsonb else coalesce(old -> '_active' = 'true'::jsonb, false) end as active
    from understudy.data_update_field where field in ('_active', '_row') and ${cut}
    order by entity_type, entity_id, seq`);
  await tx.query(`create temp view was_target as
    select t.entity_type, t.entity_id, t.name, coalesce(l.active, t.active) as active, t._tick, t._name_tick
    from understudy.link_target t left join lives l on l.entity_type = t.entity_type and l.entity_id = t.entity_id`);
  stand.set('understudy.link_target', 'pg_temp.was_target');
  // Longer names first: one may begin another.
  const names = [...stand.keys()].sort((a, b) => b.length - a.length);
  return names.reduce((sql, name) => sql.replaceAll(name, stand.get(name) ?? name), read.sql);
}

/** The columns or the table of a field. */
function placesOf(storage: FieldStorage): readonly string[] {
  switch (storage.kind) {
    case 'column':
      return [storage.column];
    case 'link':
      return [storage.typeColumn, storage.idColumn];
    case 'links':
      return [storage.table];
    case 'none':
      return [];
  }
}

/** @throws AsOfRefused where a field of a type was not kept of all rows at a moment. */
async function refuseBefore(tx: Queryable, type: string, fields: readonly string[], at: Date): Promise<void> {
  const { rows } = await tx.query<{ since: Date | null; open: boolean }>(
    `select max(served_at) as since, bool_or(served_at is null) as open
     from understudy.followed_field where entity_type = $1 and field = any($2::text[])`,
    [type, fields],
  );
  const since = rows[0]?.since ?? null;
  if (since === null || rows[0]?.open === true || since.getTime() > at.getTime())
    throw new AsOfRefused(
      `what is asked of ${type} is kept completely only since ${since?.toISOString() ?? 'its scan, which is not done'}`,
    );
}

async function cutAt(tx: Queryable, moment: Moment): Promise<{ readonly cut: string; readonly at: Date }> {
  const span = await readUpdateLogSpan(tx);
  if (span === null || !span.logged)
    throw new AsOfRefused(
      'the data-update log is switched off (history.enabled): nothing before now is known',
    );
  const tooEarly = (): AsOfRefused =>
    new AsOfRefused(`the data-update log begins ${span.since.toISOString()}: nothing before is known`);
  if ('time' in moment) {
    if (moment.time.getTime() < span.since.getTime()) throw tooEarly();
    return { cut: `at > '${moment.time.toISOString()}'::timestamptz`, at: moment.time };
  }
  const { rows } = await tx.query<{ tick: string; state: string; stored_at: Date }>(
    `select tick, e.stored_at, case when o.id is null then 'applied' when o.error is null then 'stored' else 'parked' end as state
     from understudy.event_log e left join understudy.open_event o using (id) where e.id = $1`,
    [moment.event],
  );
  const [event] = rows;
  if (event === undefined) throw new AsOfRefused(`event ${moment.event} is not in the replica's log`);
  if (event.state !== 'applied')
    throw new AsOfRefused(`event ${moment.event} is not applied (${event.state})`);
  const tick = Number(event.tick);
  if (tick < span.sinceTick) throw tooEarly();
  return { cut: `tick > ${tick}`, at: event.stored_at };
}
