import { refreshEntities, refreshLinkers } from '@understudy/pipeline/refresh-entities';
import type { Replica } from '@understudy/pipeline/replica';
import { completeRefresh, dueRefreshes, failRefresh } from '@understudy/store/refresh-requests';
import { nextTick } from '@understudy/store/tick';

/** Fetches every entity of a type that is due, a page at a time. @returns how many. */
export async function refreshDue(replica: Replica, type: string, pageSize: number): Promise<number> {
  const { pool } = replica.db;
  let count = 0;
  for (;;) {
    const due = await dueRefreshes(pool, type, pageSize);
    if (due.length === 0) return count;
    const ids = due.map((request) => request.id);
    const revived = due.filter((request) => request.linkers).map((request) => request.id);
    try {
      if (revived.length > 0) await refreshLinkers(replica, type, revived, 'refresh');
      if (replica.schema.types.has(type)) await refreshEntities(replica, type, ids, 'refresh');
      else await completeRefresh(pool, type, ids, await nextTick(pool));
    } catch (error) {
      await failRefresh(pool, type, ids, error instanceof Error ? error.message : String(error));
      throw error;
    }
    count += ids.length;
  }
}
