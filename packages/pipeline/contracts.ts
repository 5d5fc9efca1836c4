import type { NormalizedEvent } from '@understudy/domain/event';
import { z } from 'zod';

/**
 * What travels on the queues. Each contract has a version; a job of a version that a worker does not know fails and is
 * made again from PostgreSQL by a process that does.
 */
const ref = z.object({ type: z.string(), id: z.number().int() });
const link = ref.extend({ name: z.string().nullable() });
const change = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('new'), target: ref }),
  z.object({ kind: z.literal('set'), target: ref, field: z.string(), dataType: z.string(), value: z.json() }),
  z.object({
    kind: z.literal('links'),
    target: ref,
    field: z.string(),
    added: z.array(link),
    removed: z.array(link),
    isOtherSide: z.boolean().default(false),
  }),
  z.object({ kind: z.literal('retire'), target: ref }),
  z.object({ kind: z.literal('revive'), target: ref }),
  z.object({ kind: z.literal('refresh'), target: ref, reason: z.string() }),
  z.object({ kind: z.literal('schema'), reason: z.string() }),
  z.object({ kind: z.literal('ignore'), reason: z.string() }),
]);
const normalizedEvent = z.object({
  id: z.number().int(),
  tick: z.number().int(),
  createdAt: z.string(),
  late: z.boolean(),
  user: ref.nullable(),
  change,
  touched: z.array(ref),
});
const eventsJob = z.object({ v: z.literal(1), events: z.array(normalizedEvent) });
const refreshJob = z.object({ v: z.literal(1), type: z.string() });
const reprocessJob = z.object({ v: z.literal(1), chunkId: z.number().int() });
const scanJob = z.object({ v: z.literal(1), chunkId: z.number().int() });

/** @throws z.ZodError for data that is not an events job. */
export function parseEventsJob(data: unknown): readonly NormalizedEvent[] {
  return eventsJob.parse(data).events as unknown as readonly NormalizedEvent[];
}

/** @returns the entity type to refresh. */
export function parseRefreshJob(data: unknown): string {
  return refreshJob.parse(data).type;
}

/** @returns the id of the chunk to scan. */
export function parseScanJob(data: unknown): number {
  return scanJob.parse(data).chunkId;
}

/** @returns the id of the chunk to reprocess. */
export function parseReprocessJob(data: unknown): number {
  return reprocessJob.parse(data).chunkId;
}
