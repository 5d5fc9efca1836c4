import type { EntityRow, Json } from '@understudy/domain/entity';
import { EVENT_LOG_ENTRY_FIELDS, type EventLogEntry } from '@understudy/domain/event';
import { enqueueEvents } from '@understudy/pipeline/enqueue';
import { normalizeEvent } from '@understudy/pipeline/normalize';
import type { JobQueue } from '@understudy/pipeline/queue-backend';
import type { Replica } from '@understudy/pipeline/replica';
import { and, leaf } from '@understudy/site-client/filters';
import { type StoredEvent, storeEvents } from '@understudy/store/event-log';
import { expireGaps, fillGaps, type Gap, newGaps } from '@understudy/store/gap-tracker';
import { assertLease } from '@understudy/store/lease';
import { createScan } from '@understudy/store/scans';
import { nextTicks } from '@understudy/store/tick';
import { advancePolled, openGaps, replaceGaps } from '@understudy/store/watermark';
import type pg from 'pg';

export interface PollOptions {
  readonly batchSize: number;
  readonly gapTimeoutMs: number;
  /** Called with events of the site's schema before they, and those after them, are stored. */
  readonly onSchemaEvents: (ids: readonly number[]) => Promise<void>;
  /** Whoever polls must hold this. */
  readonly lease: { readonly name: string; readonly holder: string; readonly epoch: number };
}

export interface Polled {
  readonly stored: number;
  readonly late: number;
  /** Whether there may be more at once. */
  readonly full: boolean;
  readonly gaps: number;
  readonly expired: readonly Gap[];
}

/** How many missing ids one poll asks for. */
const MISSING_IDS_PER_POLL = 500;
/** How far around an expired gap the site is scanned; clocks may differ by this much. */
const SPAN_MARGIN_MS = 10 * 60_000;

/**
 * One poll: asks for the events above the checkpoint and for those missing below it, stores them with the gaps in one
 * transaction, and enqueues them. What is stored and not enqueued when the process dies is swept up later.
 * @throws LeaseLost, SiteUnavailable
 */
export async function poll(
  replica: Replica,
  queue: JobQueue,
  polledThrough: number,
  options: PollOptions,
): Promise<Polled> {
  const { db, schema } = replica;
  const askedAt = new Date();
  const known = await openGaps(db.pool);
  const late = await readMissing(replica, known);
  const fresh = await readAbove(replica, polledThrough, options.batchSize);
  const ofSchema = [...late, ...fresh].filter(isSchemaEvent).map((entry) => entry.id);
  if (ofSchema.length > 0) await options.onSchemaEvents(ofSchema);
  const now = Date.now();
  const filled = fillGaps(
    known,
    late.map((entry) => entry.id),
  );
  const skipped = newGaps(
    polledThrough,
    fresh.map((entry) => entry.id),
    now,
  );
  const { open, expired } = expireGaps([...filled, ...skipped], now, options.gapTimeoutMs);
  const through = fresh.at(-1)?.id ?? polledThrough;
  // Ticks are taken after the answer, in id order; the late ones first, since their ids are lower.
  const entries = [...late, ...fresh];
  const ticks = await nextTicks(db.pool, entries.length);
  const events: StoredEvent[] = entries.map((entry, index) => ({
    entry,
    tick: ticks[index] as number,
    late: index < late.length,
  }));
  const stored = await db.transaction(async (tx) => {
    await assertLease(tx, options.lease.name, options.lease.holder, options.lease.epoch);
    const count = await storeEvents(tx, events);
    await replaceGaps(tx, open);
    await advancePolled(tx, through, askedAt);
    if (expired.length > 0) await scanAround(tx, replica, expired, options.gapTimeoutMs);
    return count;
  });
  const normalized = events.map((event) =>
    normalizeEvent(event.entry, { tick: event.tick, late: event.late, schema }),
  );
  await enqueueEvents(queue, normalized);
  return { stored, late: late.length, full: fresh.length >= options.batchSize, gaps: open.length, expired };
}

/** Fields made, changed or deleted on the site: such an event does not say of which type (protocol §6.3). */
function isSchemaEvent(entry: EventLogEntry): boolean {
  return entry.event_type.startsWith('Shotgun_DisplayColumn_');
}

async function readAbove(replica: Replica, id: number, limit: number): Promise<readonly EventLogEntry[]> {
  const { results } = await replica.site.read(
    {
      type: 'EventLogEntry',
      fields: EVENT_LOG_ENTRY_FIELDS,
      filters: and(leaf('id', 'greater_than', id)),
      sorts: [{ field_name: 'id', direction: 'asc' }],
      pageSize: limit,
    },
    { priority: 'poll' },
  );
  return results.map(asEntry);
}

async function readMissing(replica: Replica, gaps: readonly Gap[]): Promise<readonly EventLogEntry[]> {
  const ids: number[] = [];
  for (const gap of gaps) {
    for (let id = gap.first; id <= gap.last && ids.length < MISSING_IDS_PER_POLL; id += 1) ids.push(id);
  }
  if (ids.length === 0) return [];
  const { results } = await replica.site.read(
    {
      type: 'EventLogEntry',
      fields: EVENT_LOG_ENTRY_FIELDS,
      filters: and(leaf('id', 'in', ...ids)),
      sorts: [{ field_name: 'id', direction: 'asc' }],
      pageSize: ids.length,
    },
    { priority: 'poll' },
  );
  return results.map(asEntry);
}

/** A row of the log with every field there, whatever the site left out. */
function asEntry(row: EntityRow): EventLogEntry {
  const text = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);
  const link = (value: Json | undefined): EventLogEntry['entity'] =>
    (value ?? null) as unknown as EventLogEntry['entity'];
  return {
    id: row.id,
    event_type: text(row['event_type']) ?? '',
    attribute_name: text(row['attribute_name']),
    entity: link(row['entity']),
    project: link(row['project']),
    user: link(row['user']),
    meta: row['meta'] ?? null,
    created_at: text(row['created_at']) ?? new Date().toISOString().replace(/\.\d+/, ''),
    description: text(row['description']),
    session_uuid: text(row['session_uuid']),
  };
}

/** Events that never came may have been changes: what changed around that time is read again. */
async function scanAround(
  tx: pg.PoolClient,
  replica: Replica,
  expired: readonly Gap[],
  timeoutMs: number,
): Promise<void> {
  const seen = expired.map((gap) => gap.seenAt);
  const since = new Date(Math.min(...seen) - SPAN_MARGIN_MS);
  const until = new Date(Math.max(...seen) + timeoutMs + SPAN_MARGIN_MS);
  const ids = expired.map((gap) => (gap.first === gap.last ? `${gap.first}` : `${gap.first}-${gap.last}`));
  const chunks = [...replica.schema.types.keys()].map((type) => ({
    type,
    fromId: 1,
    toId: Number.MAX_SAFE_INTEGER,
  }));
  await createScan(
    tx,
    { kind: 'span', reason: `events ${ids.slice(0, 20).join(', ')} never came`, since, until },
    chunks,
  );
}
