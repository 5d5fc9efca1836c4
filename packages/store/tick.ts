import type { Queryable } from './database.ts';

/** The next reading of the logical clock. A fetch takes it before its request, a write after its answer. */
export async function nextTick(q: Queryable): Promise<number> {
  const [tick] = await nextTicks(q, 1);
  if (tick === undefined) throw new Error('the clock gave no tick');
  return tick;
}

/** The next `count` readings, ascending. */
export async function nextTicks(q: Queryable, count: number): Promise<readonly number[]> {
  if (count === 0) return [];
  const { rows } = await q.query<{ tick: string }>({
    name: 'next-ticks',
    text: `select nextval('understudy.tick') as tick from generate_series(1, $1::int)`,
    values: [count],
  });
  return rows.map((row) => Number(row.tick)).sort((a, b) => a - b);
}
