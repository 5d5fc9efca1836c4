import type { Priority } from '@understudy/site-client/budget';
import { and, leaf } from '@understudy/site-client/filters';
import { recordSeenTargets, type SeenTarget } from '@understudy/store/link-targets';
import { completeRefresh, type FetchedLinkers } from '@understudy/store/refresh-requests';
import { nextTick } from '@understudy/store/tick';
import type { Replica } from './replica.ts';

const NAME = 'cached_display_name';

/**
 * Fetches of entities of a type that is not kept what links to them show: their names, and whether they are alive.
 * Those that nothing kept was ever seen to link to are left out.
 * @param linkers what was fetched before of what links to them.
 * @throws SiteUnavailable, SiteFault
 */
export async function refreshNames(
  replica: Replica,
  type: string,
  ids: readonly number[],
  priority: Priority,
  linkers: FetchedLinkers | null = null,
): Promise<void> {
  const { pool } = replica.db;
  const tick = await nextTick(pool);
  const { rows } = await pool.query<{ id: string }>(
    'select entity_id as id from understudy.link_target where entity_type = $1 and entity_id = any($2::bigint[])',
    [type, ids],
  );
  let open = rows.map(({ id }) => Number(id));
  const seen: SeenTarget[] = [];
  for (const returnOnly of ['active', 'retired'] as const) {
    // The site may give fewer rows in a page than were asked for.
    for (let isMore = true; isMore && open.length > 0; ) {
      const filters = and(leaf('id', 'in', ...open));
      const request = { type, fields: [NAME], filters, returnOnly, pageSize: open.length };
      const { results, hasNextPage } = await replica.site.read(request, { priority });
      for (const row of results) {
        const name = row[NAME];
        const isTold = typeof name === 'string' || name === null;
        const target = { type, id: row.id, active: returnOnly === 'active' };
        seen.push(isTold ? { ...target, name } : target);
      }
      const found = new Set(results.map(({ id }) => id));
      open = open.filter((id) => !found.has(id));
      isMore = hasNextPage && found.size > 0;
    }
  }
  await recordSeenTargets(pool, seen, tick);
  await completeRefresh(pool, type, ids, tick, linkers);
}
