import type { EntityRow, Json } from '@understudy/domain/entity';
import { EVENT_LOG_ENTRY_FIELDS, type EventLogEntry, type NormalizedEvent } from '@understudy/domain/event';
import { normalizeEvent } from '@understudy/pipeline/normalize';
import type { Replica } from '@understudy/pipeline/replica';
import { and, type FilterLeaf, leaf } from '@understudy/site-client/filters';
import type { Queryable } from '@understudy/store/database';
import { type StoredEvent, storeEvents } from '@understudy/store/event-log';
import { expireGaps, fillGaps, type Gap, newGaps } from '@understudy/store/gap-tracker';
import { assertLease } from '@understudy/store/lease';
import { createScan } from '@understudy/store/scans';
import { databaseTime } from '@understudy/store/site-schema';
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
  /** What is to be enqueued. */
  readonly events: readonly NormalizedEvent[];
  readonly stored: number;
  /** Those of them that filled a gap. */
  readonly storedLate: number;
  /** Whether there may be more at once. */
  readonly full: boolean;
  readonly gaps: number;
  readonly expired: readonly Gap[];
}

/** How many missing ids one poll asks for one by one, and how many gaps by their bounds. */
const MISSING_IDS_PER_POLL = 2_000;
const MISSING_RANGES_PER_POLL = 100;
const NARROW_GAP = 20;
/** How many of them one poll takes. */
const MISSING_PAGE = 500;
/** Spans of events that never came are scanned this far apart at least. */
const SPAN_EVERY_MS = 60_000;
const REASON = 'events never came: ';
/** How far around an expired gap the site is scanned; clocks may differ by this much. */
const SPAN_MARGIN_MS = 10 * 60_000;

/**
 * One poll: asks for the events above the checkpoint and for those missing below it, and stores them with the gaps in one
 * transaction. What is stored and not enqueued when the process dies is swept up later.
 * @throws LeaseLost, SiteUnavailable
 */
export async function poll(replica: Replica, polledThrough: number, options: PollOptions): Promise<Polled> {
  const { db, schema } = replica;
  const askedAt = await databaseTime(db.pool);
  const known = await openGaps(db.pool);
  // At once: both are asked past the same checkpoint, and a busy site always has gaps.
  const [{ entries: late, isAnswered }, { entries: fresh, siteTime, more }] = await Promise.all([
    readMissing(replica, known),
    readAbove(replica, polledThrough, options.batchSize),
  ]);
  const ofSchema = [...late, ...fresh].filter(isSchemaEvent).map((entry) => entry.id);
  if (ofSchema.length > 0) await options.onSchemaEvents(ofSchema);
  // Gaps are timed by the site's clock: their time is looked for in what the site says of its entities.
  const now = siteTime.getTime();
  const filled = fillGaps(
    known,
    late.map((entry) => entry.id),
  );
  const ids = fresh.map((entry) => entry.id);
  const skipped = newGaps(polledThrough, ids, now).map((gap) => agedGap(gap, fresh, now));
  // Of the others nobody knows yet whether the site has them.
  const answered = [...filled.filter(isAnswered), ...skipped];
  const unanswered = filled.filter((gap) => !isAnswered(gap));
  // Some ids never come, on a busy site again and again: their times are scanned together, not one by one.
  const { open, expired } = (await isScanDue(db.pool, options.gapTimeoutMs))
    ? expireGaps(answered, now, options.gapTimeoutMs)
    : { open: answered, expired: [] };
  const stillOpen = [...open, ...unanswered];
  const through = fresh.at(-1)?.id ?? polledThrough;
  // Ticks are taken after the answer, in id order; the late ones first, since their ids are lower.
  const entries = [...late, ...fresh];
  const ticks = await nextTicks(db.pool, entries.length);
  const events: StoredEvent[] = entries.map((entry, index) => ({
    entry,
    tick: ticks[index] as number,
    late: index < late.length,
  }));
  const counts = await db.transaction(async (tx) => {
    await assertLease(tx, options.lease.name, options.lease.holder, options.lease.epoch);
    const storedLate = await storeEvents(tx, events.slice(0, late.length));
    const storedFresh = await storeEvents(tx, events.slice(late.length));
    await replaceGaps(tx, stillOpen);
    await advancePolled(tx, through, askedAt);
    if (expired.length > 0) await scanAround(tx, replica, expired, options.gapTimeoutMs);
    return { stored: storedLate + storedFresh, storedLate };
  });
  const normalized = events.map((event) =>
    normalizeEvent(event.entry, { tick: event.tick, late: event.late, schema }),
  );
  return { events: normalized, ...counts, full: more, gaps: stillOpen.length, expired };
}

/** Fields made, changed or deleted on the site: such an event does not say of which type (protocol §6.3). */
function isSchemaEvent(entry: EventLogEntry): boolean {
  return entry.event_type.startsWith('Shotgun_DisplayColumn_');
}

interface Fresh {
  readonly entries: readonly EventLogEntry[];
  /** The site's clock when it answered. */
  readonly siteTime: Date;
  /** Whether the site has more: it may allow fewer in a page than were asked for. */
  readonly more: boolean;
}

async function readAbove(replica: Replica, id: number, limit: number): Promise<Fresh> {
  const { results, siteTime, hasNextPage } = await replica.site.read(
    {
      type: 'EventLogEntry',
      fields: EVENT_LOG_ENTRY_FIELDS,
      filters: and(leaf('id', 'greater_than', id)),
      sorts: [{ field_name: 'id', direction: 'asc' }],
      pageSize: limit,
    },
    { priority: 'poll' },
  );
  return { entries: results.map(asEntry), siteTime, more: hasNextPage && results.length > 0 };
}

/**
 * A gap as old as the event after it, by the site's clock: what is missing among old events, after a time of not
 * polling, is not waited for again, and the time that is scanned is the one when it happened.
 */
function agedGap(gap: Gap, fresh: readonly EventLogEntry[], now: number): Gap {
  const next = fresh.find((entry) => entry.id > gap.last);
  return next === undefined ? gap : { ...gap, seenAt: Math.min(now, Date.parse(next.created_at)) };
}

/** Whether the last span was scanned long enough ago. */
async function isScanDue(q: Queryable, gapTimeoutMs: number): Promise<boolean> {
  const { rowCount } = await q.query(
    `select from understudy.scan where kind = 'span' and reason like '${REASON}%'
       and (finished_at is null or created_at > now() - make_interval(secs => $1::double precision / 1000)) limit 1`,
    [Math.min(SPAN_EVERY_MS, gapTimeoutMs)],
  );
  return rowCount === 0;
}

interface Missing {
  /** What the site has of them, by ascending id; what a page had no room for is asked for again by the next poll. */
  readonly entries: readonly EventLogEntry[];
  /** Whether the site was asked for all of a gap, and the page had room for it. */
  readonly isAnswered: (gap: Gap) => boolean;
}

/** Asks for missing ids: narrow gaps by their ids, wide ones by their bounds, so that each is asked for. */
async function readMissing(replica: Replica, gaps: readonly Gap[]): Promise<Missing> {
  const ids: number[] = [];
  const ranges: FilterLeaf[] = [];
  const asked: Gap[] = [];
  for (const gap of gaps) {
    const width = gap.last - gap.first + 1;
    if (width <= NARROW_GAP && ids.length + width <= MISSING_IDS_PER_POLL)
      for (let id = gap.first; id <= gap.last; id += 1) ids.push(id);
    else if (ranges.length < MISSING_RANGES_PER_POLL) ranges.push(leaf('id', 'between', gap.first, gap.last));
    else continue;
    asked.push(gap);
  }
  const conditions = [...(ids.length === 0 ? [] : [leaf('id', 'in', ...ids)]), ...ranges];
  if (conditions.length === 0) return { entries: [], isAnswered: () => true };
  const { results, hasNextPage } = await replica.site.read(
    {
      type: 'EventLogEntry',
      fields: EVENT_LOG_ENTRY_FIELDS,
      filters: { logical_operator: 'or', conditions },
      sorts: [{ field_name: 'id', direction: 'asc' }],
      pageSize: MISSING_PAGE,
    },
    { priority: 'poll' },
  );
  const through = hasNextPage ? (results.at(-1)?.id ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
  return {
    entries: results.map(asEntry),
    isAnswered: ({ first, last }) =>
      last <= through && asked.some((gap) => gap.first <= first && last <= gap.last),
  };
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

/**
 * Events that never came may have been changes: what changed around that time is read again. Most never were anything:
 * ids of writes that the site took back. So types that do not say when a row was changed wait for their next whole reading.
 */
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
  const chunks = [...replica.schema.types].flatMap(([type, { fields }]) =>
    fields.has('updated_at') ? [{ type, fromId: 1, toId: Number.MAX_SAFE_INTEGER }] : [],
  );
  if (chunks.length === 0) return;
  await createScan(tx, { kind: 'span', reason: REASON + ids.slice(0, 20).join(', '), since, until }, chunks);
}
