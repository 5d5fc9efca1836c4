import { enqueueChunks, enqueueEvents, enqueueRefreshes } from '@understudy/pipeline/enqueue';
import { normalizeEvent } from '@understudy/pipeline/normalize';
import type { QueueBackend } from '@understudy/pipeline/queue-backend';
import type { Replica } from '@understudy/pipeline/replica';
import { unappliedEvents } from '@understudy/store/event-log';
import { dueRefreshTypes } from '@understudy/store/refresh-requests';
import { openChunks } from '@understudy/store/scans';

const EVENTS_PER_SWEEP = 2_000;
const CHUNKS_PER_SWEEP = 500;
/** While jobs of events wait, a stored event is rather late than lost: enqueueing it again would only add to the work. */
const PATIENCE = 10;

/**
 * Makes jobs again from PostgreSQL for whatever waits there longer than it should: the queue may have been wiped, or the
 * process that stored the work died before enqueueing it.
 * @returns how many events were enqueued again.
 */
export async function sweep(replica: Replica, queues: QueueBackend, olderThanMs: number): Promise<number> {
  const { pool } = replica.db;
  const queue = queues.queue('events');
  const isBusy = hasJobs(await queue.counts());
  const events = await unappliedEvents(pool, isBusy ? PATIENCE * olderThanMs : olderThanMs, EVENTS_PER_SWEEP);
  const { schema } = replica;
  const normalized = events.map(({ entry, tick, late }) => normalizeEvent(entry, { tick, late, schema }));
  // Another id than the first time, so that a job that is remembered as done does not stand in the way.
  await enqueueEvents(queue, normalized, `-again-${Math.floor(Date.now() / olderThanMs)}`);
  await enqueueRefreshes(queues.queue('refresh'), await dueRefreshTypes(pool));
  await enqueueChunks(queues.queue('scan'), await openChunks(pool, CHUNKS_PER_SWEEP));
  return events.length;
}

function hasJobs(counts: Readonly<Record<string, number>>): boolean {
  return ['waiting', 'prioritized', 'active', 'delayed'].some((state) => (counts[state] ?? 0) > 0);
}
