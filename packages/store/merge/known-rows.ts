import type { Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { arrayLiteral, type ScalarField, scalarFields } from './columns.ts';

/** A row as the replica has it, as far as some changes concern it. */
export interface KnownRow {
  readonly fetchedTick: number;
  /** The site's clock at its last fetch or write, milliseconds. */
  readonly siteTime: number | null;
  readonly stamps: Readonly<Record<string, number>>;
  /** By field, in canonical wire form, links without names. */
  readonly values: ReadonlyMap<string, Json>;
}

const NO_STAMPS: Readonly<Record<string, number>> = {};
/** PostgreSQL takes at most 100 arguments to a function. */
const ARGUMENTS_MAX = 90;

/**
 * Locks rows in id order and reads them with some of their fields. The lock and the read are one statement: it sees a
 * row that somebody else holds as that one leaves it.
 */
export async function lockRows(
  tx: Queryable,
  table: EntityTable,
  ids: readonly number[],
  fieldNames: Iterable<string>,
): Promise<ReadonlyMap<number, KnownRow>> {
  const all = scalarFields(table);
  const fields: ScalarField[] = [];
  for (const name of fieldNames) {
    const field = all.get(name);
    if (field !== undefined) fields.push(field);
  }
  const arrays: string[] = [];
  for (let at = 0; at < fields.length; at += ARGUMENTS_MAX) {
    const some = fields.slice(at, at + ARGUMENTS_MAX).map((field) => field.wireSql('t'));
    arrays.push(`jsonb_build_array(${some.join(', ')})`);
  }
  const { rows } = await tx.query<
    [string, string, number | null, Readonly<Record<string, number>> | null, readonly Json[]]
  >({
    text: `select id, _fetched_tick, (extract(epoch from _site_time) * 1000)::double precision, _stamps,
        ${arrays.length === 0 ? "'[]'::jsonb" : arrays.join(' || ')}
      from ${table.sqlName} t where id = any($1::bigint[]) order by id for update`,
    values: [arrayLiteral(ids, 'bigint')],
    rowMode: 'array',
  } as never);
  return new Map(
    rows.map(([id, fetchedTick, siteTime, stamps, values]) => [
      Number(id),
      {
        fetchedTick: Number(fetchedTick),
        siteTime,
        stamps: stamps ?? NO_STAMPS,
        values: new Map(fields.map(({ name }, at) => [name, values[at] ?? null])),
      },
    ]),
  );
}
