import { refreshEntities, refreshLinkers } from '@understudy/pipeline/refresh-entities';
import { refreshNames } from '@understudy/pipeline/refresh-names';
import type { Replica } from '@understudy/pipeline/replica';
import { AuthenticationFault, SiteFault, SiteProtocolError } from '@understudy/site-client/faults';
import { dueRefreshes, failRefresh } from '@understudy/store/refresh-requests';
import { isDataError } from './park.ts';

interface Due {
  readonly id: number;
  readonly linkers: boolean;
}

/** Fetches every entity of a type that is due, a page at a time. @returns how many. */
export async function refreshDue(replica: Replica, type: string, pageSize: number): Promise<number> {
  let count = 0;
  for (;;) {
    const due = await dueRefreshes(replica.db.pool, type, pageSize);
    if (due.length === 0) return count;
    await refreshSome(replica, type, due);
    count += due.length;
  }
}

/**
 * Fetches some entities together. One that cannot be fetched or merged must not hold up the others: they are divided until
 * it is found, and it alone is put off.
 * @throws SiteUnavailable, or the database's error: then all are put off.
 */
async function refreshSome(replica: Replica, type: string, due: readonly Due[]): Promise<void> {
  const { pool } = replica.db;
  const ids = due.map((request) => request.id);
  try {
    const revived = due.filter((request) => request.linkers).map((request) => request.id);
    const linkers = revived.length === 0 ? null : await refreshLinkers(replica, type, revived, 'refresh');
    if (replica.schema.types.has(type))
      await refreshEntities(replica, type, ids, 'refresh', 'refresh', linkers);
    else await refreshNames(replica, type, ids, 'refresh', linkers);
  } catch (error) {
    if (isOfOne(error) && due.length > 1) {
      const half = Math.ceil(due.length / 2);
      await refreshSome(replica, type, due.slice(0, half));
      await refreshSome(replica, type, due.slice(half));
      return;
    }
    await failRefresh(pool, type, ids, error instanceof Error ? error.message : String(error));
    if (!isOfOne(error)) throw error;
  }
}

/** Whether an error lies with one of the entities rather than with the site or the database. */
function isOfOne(error: unknown): boolean {
  if (error instanceof AuthenticationFault) return false;
  return isDataError(error) || error instanceof SiteFault || error instanceof SiteProtocolError;
}
