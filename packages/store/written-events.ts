import type { Queryable } from './database.ts';

/** By then the poller has come to them, or the replica counts as too old anyway. */
const COUNTS_FOR = '5 minutes';

/** Notes entries of the event log that were made through a reader; those of long ago are forgotten. */
export async function recordWrittenEvents(q: Queryable, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await q.query({
    name: 'record-written-events',
    text: `with old as (delete from understudy.written_event where at <= now() - interval '${COUNTS_FOR}')
      insert into understudy.written_event (id) select unnest($1::bigint[]) on conflict do nothing`,
    values: [ids],
  });
}

/** Whether one of them is not shown yet: it was not polled, or waits to be applied. To be asked before a read. */
export async function hasUnseenWrittenEvents(q: Queryable): Promise<boolean> {
  const { rows } = await q.query<{ unseen: boolean }>({
    name: 'has-unseen-written-events',
    text: `select exists (select from understudy.written_event w where w.at > now() - interval '${COUNTS_FOR}'
        and (not exists (select from understudy.event_log e where e.id = w.id)
          or exists (select from understudy.open_event o where o.id <= w.id and o.error is null))) as unseen`,
  });
  return rows[0]?.unseen === true;
}
