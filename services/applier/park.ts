import { ValueError } from '@understudy/domain/data-types/data-type';
import type { NormalizedEvent } from '@understudy/domain/event';
import { onReplica, type Replica } from '@understudy/pipeline/replica';
import { parkEvent } from '@understudy/store/event-log';
import { requestRefresh } from '@understudy/store/refresh-requests';

/** Classes of SQLSTATE that speak of the data, not of the database's state: data, integrity, syntax or access. */
const DATA_ERRORS = /^(22|23|42)/;

/** @returns whether trying the same again cannot help. */
export function isDataError(error: unknown): boolean {
  return error instanceof ValueError || DATA_ERRORS.test((error as { code?: string } | null)?.code ?? '');
}

/** Puts an event that cannot be applied aside, and has its entity fetched instead; the stream goes on. */
export async function park(replica: Replica, event: NormalizedEvent, error: unknown): Promise<void> {
  const { change } = event;
  await onReplica(replica, ({ db, schema }) =>
    db.transaction(async (tx) => {
      await parkEvent(tx, event.id, error instanceof Error ? error.message : String(error));
      if ('target' in change && schema.types.has(change.target.type)) {
        await requestRefresh(tx, [{ ...change.target, reason: 'its event cannot be applied' }]);
      }
    }),
  );
}
