import type { Queryable } from './database.ts';

/**
 * PostgreSQL's time, which is one for all processes: what one of them stored is compared with what another reads, on
 * machines whose clocks may be set wrong, or anew.
 */
export async function sharedTime(q: Queryable): Promise<Date> {
  const { rows } = await q.query<{ at: Date }>('select clock_timestamp() as at');
  const [row] = rows;
  if (row === undefined) throw new Error('PostgreSQL told no time');
  return row.at;
}
