import type { NormalizedEvent } from '@understudy/domain/event';
import type { JobQueue, NewJob } from './queue-backend.ts';

/** Events in one job: few, so that they are seen soon, or many where many wait, since those are applied faster. */
const EVENTS_PER_JOB = 100;
export const EVENTS_PER_JOB_MAX = 1_000;
/** Jobs that appliers find to do at once, rather than one large one. */
const JOBS_AT_ONCE = 4;

/**
 * Enqueues events in batches with deterministic ids: enqueueing again is harmless.
 * @param round distinguishes a sweep's jobs from those whose ids are still remembered.
 */
export async function enqueueEvents(
  queue: JobQueue,
  events: readonly NormalizedEvent[],
  round = '',
): Promise<void> {
  const jobs: NewJob[] = [];
  const share = Math.ceil(events.length / JOBS_AT_ONCE);
  const size = Math.min(Math.max(share, EVENTS_PER_JOB), EVENTS_PER_JOB_MAX);
  for (let at = 0; at < events.length; at += size) {
    const batch = events.slice(at, at + size);
    const [first, last] = [batch[0]?.id, batch.at(-1)?.id];
    jobs.push({
      id: `events-${first}-${last}${round}`,
      name: 'events',
      data: { v: 1, events: batch },
      forget: round !== '',
    });
  }
  await queue.add(jobs);
}

/** Enqueues one job for each type: it works until no request of the type is due. */
export async function enqueueRefreshes(queue: JobQueue, types: Iterable<string>): Promise<void> {
  const jobs = [...new Set(types)].map((type) => ({
    id: `refresh-${type}`,
    name: type,
    data: { v: 1, type },
    forget: true,
  }));
  await queue.add(jobs);
}

/** Enqueues chunks of scans. */
export async function enqueueChunks(
  queue: JobQueue,
  chunks: readonly { readonly id: number; readonly type: string }[],
): Promise<void> {
  await queue.add(
    chunks.map((chunk) => ({
      id: `chunk-${chunk.id}`,
      name: chunk.type,
      data: { v: 1, chunkId: chunk.id },
      forget: true,
    })),
  );
}

/** Enqueues chunks of reprocessing. */
export async function enqueueReprocessChunks(
  queue: JobQueue,
  chunks: readonly { readonly id: number; readonly kind: string; readonly type: string }[],
): Promise<void> {
  await queue.add(
    chunks.map((chunk) => ({
      id: `reprocess-${chunk.id}`,
      name: chunk.type === '' ? chunk.kind : chunk.type,
      data: { v: 1, chunkId: chunk.id },
      forget: true,
    })),
  );
}
