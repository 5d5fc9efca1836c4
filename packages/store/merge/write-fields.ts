import type { Json } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { fewStatements } from '../statement.ts';
import { arrayParameter } from './array-parameter.ts';
import { literal, scalarFields } from './columns.ts';

/** What is written into one row: by field, the value in canonical form and the tick that becomes the field's stamp. */
export type RowWrite = Map<string, { readonly value: Json; readonly tick: number }>;

/**
 * Writes fields of rows that the transaction has locked, with their stamps, in one statement.
 * @param siteTime the site's clock at a fetch; null for an event.
 */
export async function writeFields(
  tx: Queryable,
  table: EntityTable,
  writes: ReadonlyMap<number, RowWrite>,
  siteTime: Date | null = null,
): Promise<void> {
  if (writes.size === 0) return;
  const rows = [...writes];
  const stamps = rows.map(([, write]) =>
    Object.fromEntries([...write].map(([name, { tick }]) => [name, tick])),
  );
  const values = [
    arrayParameter(
      rows.map(([id]) => id),
      'bigint',
    ),
    arrayParameter(stamps, 'jsonb'),
  ];
  const columns: string[] = [];
  const arrays: string[] = [];
  const sets: string[] = [];
  for (const [name, field] of scalarFields(table)) {
    const written = rows.map(([, write]) => write.get(name));
    const count = written.filter((one) => one !== undefined).length;
    if (count === 0) continue;
    for (const { name: column, sqlType, of } of field.columns) {
      values.push(
        arrayParameter(
          written.map((one) => (one === undefined ? null : of(one.value))),
          sqlType,
        ),
      );
      columns.push(column);
      arrays.push(`$${values.length}::${sqlType}[]`);
      sets.push(
        count === rows.length
          ? `${column} = r.${column}`
          : `${column} = case when r._stamps ? ${literal(name)} then r.${column} else t.${column} end`,
      );
    }
  }
  if (siteTime !== null) values.push(siteTime.toISOString());
  const setTime =
    siteTime === null ? '' : `, _site_time = greatest(t._site_time, $${values.length}::timestamptz)`;
  const given = ['$1::bigint[]', '$2::jsonb[]', ...arrays].join(', ');
  const text = `update ${table.sqlName} t set ${sets.map((set) => `${set}, `).join('')}_stamps = coalesce(t._stamps, '{}'::jsonb) || r._stamps${setTime}
     from unnest(${given}) as r(${['id', '_stamps', ...columns].join(', ')})
     where t.id = r.id`;
  await tx.query({ ...fewStatements(table, 'write-fields', text), values });
}
