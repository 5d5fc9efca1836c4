import { entityTable } from '@understudy/store/entity-tables';
import { fetchedFields } from '@understudy/store/merge/fetched';
import type { Replica } from '../replica.ts';
import { differenceOf, type EntityDifference, replicaStates, siteStates } from '../verify/entity-state.ts';
import { settleDifferences } from './settle-differences.ts';

export interface Audited {
  readonly type: string;
  readonly compared: number;
  readonly differences: readonly EntityDifference[];
}

/**
 * Compares a few entities in a row with the site, all their fields, beginning at one chosen by chance: ids that only one
 * side has are found as well. What differs is recorded and fetched again.
 * @param types of which one is chosen, the more likely the more entities it has.
 * @returns null while there is nothing to compare.
 */
export async function auditSample(
  replica: Replica,
  options: { readonly types: readonly string[]; readonly size: number; readonly signal: AbortSignal },
): Promise<Audited | null> {
  const { pool } = replica.db;
  const tables = options.types.flatMap((name) => {
    const cached = replica.schema.types.get(name);
    return cached === undefined ? [] : [{ type: name, table: entityTable(cached) }];
  });
  if (tables.length === 0) return null;
  const highest = tables.map(
    ({ type, table }) => `select '${type}' as type, coalesce(max(id), 0) as highest from ${table.sqlName}`,
  );
  const { rows } = await pool.query<{ type: string; highest: string }>(highest.join(' union all '));
  const total = rows.reduce((sum, row) => sum + Number(row.highest), 0);
  if (total === 0) return null;
  let dice = Math.random() * total;
  const chosen = rows.find((row) => {
    dice -= Number(row.highest);
    return dice < 0;
  });
  const found = tables.find(({ type }) => type === chosen?.type);
  if (chosen === undefined || found === undefined) return null;
  const { type, table } = found;
  // From a row that is there, so that a sparse type is not looked for in vain; on past the end, for what is missing.
  const start = await pool.query<{ id: string }>(
    `select id from ${table.sqlName} where id >= $1 order by id limit 1`,
    [Math.floor(Math.random() * Number(chosen.highest)) + 1],
  );
  const first = Number(start.rows[0]?.id ?? 1);
  const ids = Array.from({ length: options.size }, (_, at) => first + at);
  const fields = fetchedFields(table);
  const site = await siteStates(replica.site, type, fields, ids, 'audit');
  const ours = await replicaStates(replica, type, fields, ids);
  const suspects = ids.filter((id) => differenceOf(type, id, fields, site.get(id), ours.get(id)) !== null);
  const compared = ids.filter((id) => site.has(id) || ours.has(id)).length;
  if (compared === 0) return null;
  const differences = await settleDifferences(
    replica,
    'audit',
    { type, fields, compared, suspects },
    options.signal,
  );
  return { type, compared, differences };
}
