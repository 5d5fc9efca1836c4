import { enqueueChunks, enqueueEvents, enqueueRefreshes } from '@understudy/pipeline/enqueue';
import { normalizeEvent } from '@understudy/pipeline/normalize';
import type { QueueBackend } from '@understudy/pipeline/queue-backend';
import type { Replica } from '@understudy/pipeline/replica';
import { type StoredEvent, unappliedEvents } from '@understudy/store/event-log';
import { dueRefreshTypes } from '@understudy/store/refresh-requests';
import { openChunks } from '@understudy/store/scans';
import type { QueueReach } from './queue-reach.ts';

const EVENTS_PER_SWEEP = 2_000;
const CHUNKS_PER_SWEEP = 500;
/** While many jobs of events wait, a stored event is rather late than lost: enqueueing it again would only add to the work. */
const PATIENCE = 10;
/** On a busy site some job is always under way; so few are worked through in a moment. */
const MANY_JOBS = 20;
/** Within this time an event is enqueued again once. */
const ROUND_MS = 3_000;

/**
 * Makes jobs again from PostgreSQL for whatever waits there longer than it should: the queue may have been wiped, or the
 * process that stored the work died before enqueueing it. After the queue was away everything that waits is enqueued at
 * once, however short it has waited.
 * @param olderThanMs how long an event may wait otherwise.
 * @returns how many events were enqueued again; 0 while the queue is away.
 */
export async function sweep(
  replica: Replica,
  queues: QueueBackend,
  reach: QueueReach,
  olderThanMs: number,
): Promise<number> {
  const { pool } = replica.db;
  const counts = await reach.attempt(() => queues.queue('events').counts());
  if (counts === null) return 0;
  const isMissed = reach.missed;
  reach.missed = false;
  const types = await dueRefreshTypes(pool);
  const chunks = await openChunks(pool, CHUNKS_PER_SWEEP);
  await reach.attempt(async () => {
    await enqueueRefreshes(queues.queue('refresh'), types);
    await enqueueChunks(queues.queue('scan'), chunks);
  });
  // Another id than the first time, so that a job that is remembered as done does not stand in the way.
  const round = `-again-${Math.floor(Date.now() / ROUND_MS)}`;
  let count = 0;
  for (let after = 0; ; ) {
    const waitedMs = isMissed ? 0 : areMany(counts) ? PATIENCE * olderThanMs : olderThanMs;
    const events = await unappliedEvents(pool, waitedMs, after, EVENTS_PER_SWEEP);
    const isEnqueued = await reach.attempt(() => enqueueStored(replica, queues, events, round));
    if (isEnqueued === null) return count;
    count += events.length;
    after = events.at(-1)?.entry.id ?? after;
    if (!isMissed || events.length < EVENTS_PER_SWEEP) return count;
  }
}

async function enqueueStored(
  { schema }: Replica,
  queues: QueueBackend,
  events: readonly StoredEvent[],
  round: string,
): Promise<true> {
  const normalized = events.map(({ entry, tick, late }) => normalizeEvent(entry, { tick, late, schema }));
  await enqueueEvents(queues.queue('events'), normalized, round);
  return true;
}

function areMany(counts: Readonly<Record<string, number>>): boolean {
  const waiting = ['waiting', 'prioritized', 'delayed'].map((state) => counts[state] ?? 0);
  return waiting.reduce((sum, count) => sum + count, 0) >= MANY_JOBS;
}
