import type { Queryable } from './database.ts';

/** How often values occur in columns of ids, as PostgreSQL estimated it when it last analyzed the tables. */
export interface ColumnFrequencies {
  /**
   * @param table as SQL names it, with its schema.
   * @param column as SQL names it, of ids.
   * @returns in about how many rows a value is; null for a column that was not analyzed, or with which no index begins.
   */
  rowsPerValue(table: string, column: string): number | null;
}

/** What counts as having changed: what is made by frequencies need not be made anew for less. */
const CHANGED = 2;

/** Frequencies as they were read at once. */
export class ReadFrequencies implements ColumnFrequencies {
  readonly #rows: ReadonlyMap<string, number>;

  /** @param rows per value, by `table column`, the column without quotes. */
  constructor(rows: ReadonlyMap<string, number>) {
    this.#rows = rows;
  }

  rowsPerValue(table: string, column: string): number | null {
    return this.#rows.get(`${table} ${column.replaceAll('"', '')}`) ?? null;
  }

  /** Whether none has become twice as much as in others, or half. */
  isLike(others: ReadFrequencies): boolean {
    if (this.#rows.size !== others.#rows.size) return false;
    for (const [name, rows] of this.#rows) {
      const other = others.#rows.get(name);
      if (other === undefined || rows > other * CHANGED || other > rows * CHANGED) return false;
    }
    return true;
  }
}

export async function readColumnFrequencies(q: Queryable): Promise<ReadFrequencies> {
  const { rows } = await q.query<{ name: string; rows: number }>(FREQUENCIES);
  return new ReadFrequencies(new Map(rows.map((row) => [row.name, row.rows])));
}

// A negative number of distinct values is a share of the rows.
const FREQUENCIES = `select format('site."%s" %s', c.relname, a.attname) as name,
    c.reltuples * (1 - s.null_frac)
      / greatest(1, case when s.n_distinct < 0 then -s.n_distinct * c.reltuples else s.n_distinct end) as rows
  from pg_class c join pg_attribute a on a.attrelid = c.oid
    join pg_stats s on s.schemaname = 'site' and s.tablename = c.relname and s.attname = a.attname and not s.inherited
  where c.relnamespace = 'site'::regnamespace and c.reltuples > 0 and a.atttypid = 'bigint'::regtype
    and exists (select from pg_index i where i.indrelid = c.oid and i.indkey[0] = a.attnum)`;
