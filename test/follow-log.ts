import assert from 'node:assert/strict';
import { refreshDue } from '@understudy/applier/refresh';
import { poll } from '@understudy/event-poller/poll';
import { applyEvents } from '@understudy/pipeline/apply-events';
import { onReplica, type Replica } from '@understudy/pipeline/replica';
import { unappliedEvents } from '@understudy/store/event-log';
import { acquireLease } from '@understudy/store/lease';
import { dueRefreshTypes } from '@understudy/store/refresh-requests';
import { readWatermark } from '@understudy/store/watermark';

const EVENTS_MAX = 10_000;

/**
 * Polls, applies and refreshes until nothing waits, as the poller and the appliers do, for tests that have neither.
 * @param onSchemaEvents what the poller does about changes of the site's schema.
 */
export async function followLog(
  replica: Replica,
  onSchemaEvents: (ids: readonly number[]) => Promise<void> = async () => {},
): Promise<void> {
  const { pool } = replica.db;
  const epoch = await acquireLease(pool, 'test', 'me', 60_000);
  assert.ok(epoch !== null);
  const lease = { name: 'test', holder: 'me', epoch };
  const options = { batchSize: 500, gapTimeoutMs: 60_000, lease, onSchemaEvents };
  for (let more = true; more; ) {
    const through = (await readWatermark(pool))?.polledThrough ?? 0;
    more = (await onReplica(await replica.renew(), (polling) => poll(polling, through, options))).full;
  }
  const current = await replica.renew();
  const stored = await unappliedEvents(pool, 0, 0, EVENTS_MAX);
  await applyEvents(
    current,
    stored.map(({ entry }) => entry),
  );
  for (const type of await dueRefreshTypes(pool)) await refreshDue(current, type, 100);
}
