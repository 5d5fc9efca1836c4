import type { Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { fewStatements } from '../statement.ts';
import { arrayParameter } from './array-parameter.ts';
import { type ScalarField, scalarFields } from './columns.ts';

/** A row as the replica has it, as far as some changes concern it. */
export interface KnownRow {
  /** Where PostgreSQL has it, for as long as the transaction holds it and has not written to it. */
  readonly place: string;
  readonly fetchedTick: number;
  /** The site's clock at its last fetch or write, milliseconds. */
  readonly siteTime: number | null;
  readonly stamps: Readonly<Record<string, number>>;
  /** By field, in canonical wire form, links without names. */
  readonly values: ReadonlyMap<string, Json>;
}

const NO_STAMPS: Readonly<Record<string, number>> = {};
/** Columns before those of fields. */
const FIRST_FIELD = 5;

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
  const columns = fields.flatMap(({ readSql }) => readSql('t'));
  const { rows } = await tx.query<
    [string, string, string, number | null, Readonly<Record<string, number>> | null, ...unknown[]]
  >({
    ...fewStatements(
      table,
      'lock-rows',
      `select id, ctid, _fetched_tick, date_part('epoch', _site_time) * 1000, _stamps${columns.map((one) => `, ${one}`).join('')}
      from ${table.sqlName} t where id = any($1::bigint[]) order by id for no key update`,
    ),
    values: [arrayParameter(ids, 'bigint')],
    rowMode: 'array',
  } as never);
  return new Map(
    rows.map((row) => {
      const [id, place, fetchedTick, siteTime, stamps] = row;
      const values = new Map<string, Json>();
      let at = FIRST_FIELD;
      for (const { name, columns: ofField, read } of fields) {
        values.set(name, read(row, at));
        at += ofField.length;
      }
      return [
        Number(id),
        { place, fetchedTick: Number(fetchedTick), siteTime, stamps: stamps ?? NO_STAMPS, values },
      ];
    }),
  );
}
