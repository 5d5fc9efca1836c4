import type { Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { fewStatements } from '../statement.ts';
import { arrayParameter, valueParameter } from './array-parameter.ts';
import { scalarFields } from './columns.ts';
import type { KnownRow } from './known-rows.ts';

/** What is written into one row: by field, the value in canonical form and the tick that becomes the field's stamp. */
export type RowWrite = Map<string, { readonly value: Json; readonly tick: number }>;

/** From so many rows on it is worth while to look for columns that have the same value in all of them. */
const MANY_ROWS = 32;

/**
 * Writes fields of rows that the transaction has locked, with their stamps, in one statement. The rows are found by their
 * places: whatever the planner believes of the table, it looks at no other row.
 * @param known the rows as they were locked, with every field that is written to one of them; each may be written once.
 * @param siteTime the site's clock at a fetch; null for an event.
 */
export async function writeFields(
  tx: Queryable,
  table: EntityTable,
  writes: ReadonlyMap<number, RowWrite>,
  known: ReadonlyMap<number, KnownRow>,
  siteTime: Date | null = null,
): Promise<void> {
  if (writes.size === 0) return;
  const rows = [...writes].map(([id, write]) => {
    const row = known.get(id);
    if (row === undefined) throw new Error(`row ${id} of ${table.type} was not locked`);
    return { row, write };
  });
  const stamps = rows.map(({ row, write }) => {
    const ofRow: Record<string, number> = { ...row.stamps };
    for (const [name, { tick }] of write) ofRow[name] = tick;
    return ofRow;
  });
  const values: (Buffer | string | number | boolean | null)[] = [
    arrayParameter(
      rows.map(({ row }) => row.place),
      'tid',
    ),
    arrayParameter(stamps, 'jsonb'),
  ];
  const given = ['unnest($1::tid[]) as place', 'unnest($2::jsonb[]) as _stamps'];
  const sets: string[] = [];
  for (const [name, field] of scalarFields(table)) {
    if (!rows.some(({ write }) => write.has(name))) continue;
    // A row that keeps its value is given it again: it is locked, so it is still the same.
    const all = rows.map(
      ({ row, write }) => write.get(name)?.value ?? (write.has(name) ? null : valueIn(row, name)),
    );
    for (const { name: column, sqlType, of } of field.columns) {
      const ofColumn = all.map(of);
      const [first = null] = ofColumn;
      const isConstant = rows.length >= MANY_ROWS && ofColumn.every((value) => value === first);
      values.push(isConstant ? valueParameter(first, sqlType) : arrayParameter(ofColumn, sqlType));
      const parameter = `$${values.length}::${sqlType}`;
      if (isConstant) sets.push(`${column} = ${parameter}`);
      else {
        given.push(`unnest(${parameter}[]) as ${column}`);
        sets.push(`${column} = r.${column}`);
      }
    }
  }
  if (siteTime !== null) values.push(siteTime.toISOString());
  const setTime =
    siteTime === null ? '' : `, _site_time = greatest(t._site_time, $${values.length}::timestamptz)`;
  const text = `update ${table.sqlName} t set ${sets.map((set) => `${set}, `).join('')}_stamps = r._stamps${setTime}
     from (select ${given.join(', ')}) r where t.ctid = r.place`;
  const { rowCount } = await tx.query({ ...fewStatements(table, 'write-fields', text), values });
  if (rowCount !== rows.length)
    throw new Error(`${rows.length} rows of ${table.type} were locked, and ${rowCount} written to`);
}

function valueIn({ values }: KnownRow, name: string): Json {
  const value = values.get(name);
  if (value === undefined) throw new Error(`${name} was not read with the rows`);
  return value;
}
