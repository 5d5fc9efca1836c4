import { type GenerationSummary, readGenerationSummary } from '@understudy/pipeline/generation-summary';
import type { QueueBackend } from '@understudy/pipeline/queue-backend';
import { countQueuesPatiently, type QueueCounts } from '@understudy/pipeline/queue-counts';
import { isUnprepared, type Queryable } from '@understudy/store/database';
import { readStatus, type StatusReport } from '@understudy/store/status';
import { createLook, type Seen } from './look.ts';

/** Whether one of the two servers that all services share can be reached. */
export interface Part {
  /** `unprepared`: it is there, but no service has made the replica's tables yet. */
  readonly state: 'there' | 'unprepared' | 'away';
  /** What it said, when it is away. */
  readonly reason: string | null;
}

/** All that the page and the metrics show. */
export interface SystemStatus {
  readonly at: Date;
  readonly database: Part;
  readonly queue: Part & { readonly backend: 'redis' | 'postgres' };
  /** Null unless the database is there. */
  readonly report: StatusReport | null;
  /** Null before the replica was first prepared as well. */
  readonly generation: GenerationSummary | null;
  /** Null unless the queue is there. */
  readonly queues: readonly QueueCounts[] | null;
}

const THERE: Part = { state: 'there', reason: null };

function partOf(seen: Seen<unknown>): Part {
  if (seen.ok) return THERE;
  const { code, message } = seen.error as Error & { readonly code?: string };
  if (isUnprepared(seen.error)) return { state: 'unprepared', reason: null };
  // Node tells a refused connection by an error without words that holds one for each address.
  return { state: 'away', reason: message || code || 'no connection' };
}

export interface StatusWatch {
  /** Reads everything now; never throws and never takes long, whatever is away. */
  read(): Promise<SystemStatus>;
  /** Why the queue cannot be asked, or null. */
  whyQueueAway(): Promise<string | null>;
}

/**
 * @param queueUrl tells which backend it is; the address itself is not shown.
 * @param timeoutMs how long a server may take to answer before it counts as away.
 */
export function createStatusWatch(
  q: Queryable,
  queues: QueueBackend,
  queueUrl: string,
  timeoutMs?: number,
): StatusWatch {
  const patience = timeoutMs === undefined ? {} : { timeoutMs };
  const backend = /^rediss?:/.test(queueUrl) ? 'redis' : 'postgres';
  const database = createLook(
    async () => ({
      report: await readStatus(q),
      generation: await readGenerationSummary(q),
    }),
    patience,
  );
  const queue = createLook(() => countQueuesPatiently(queues), patience);
  return {
    read: async () => {
      const [stored, counted] = await Promise.all([database(), queue()]);
      return {
        at: new Date(),
        database: partOf(stored),
        queue: { ...partOf(counted), backend },
        report: stored.ok ? stored.value.report : null,
        generation: stored.ok ? stored.value.generation : null,
        queues: counted.ok ? counted.value : null,
      };
    },
    whyQueueAway: async () => partOf(await queue()).reason,
  };
}
