import { addField } from '@understudy/pipeline/add-field';
import { enqueueEvents } from '@understudy/pipeline/enqueue';
import { onReplica } from '@understudy/pipeline/replica';
import { done, nothing } from '@understudy/runtime/control/target';
import { holderName } from '@understudy/runtime/heartbeat';
import { loop, pause } from '@understudy/runtime/loop';
import { runReplicaService } from '@understudy/runtime/replica-service';
import { acquireLease, LeaseLost, releaseLease } from '@understudy/store/lease';
import { forgetEvents, forgetScans } from '@understudy/store/retention';
import { readWatermark } from '@understudy/store/watermark';
import { ensureCheckpoint } from './checkpoint.ts';
import { createPollerMetrics } from './metrics.ts';
import { poll } from './poll.ts';
import { createQueueReach } from './queue-reach.ts';
import { createSchemaWatch } from './schema-watch.ts';
import { sweep } from './sweep.ts';

const LEASE = 'event-poller';
const SWEEP_MS = 1_000;
const FORGET_MS = 10 * 60_000;
const FORGET_BATCH = 5_000;
const SCHEMA_LOOK_MS = 500;
/** The part of the interval that is left to others between two polls, however long they take. */
const LEAST_PAUSE = 0.25;
/** How long a pause waits for the poll that is under way: whoever paused expects that nothing is read after the reply. */
const POLL_ENDS_MS = 3_000;

await runReplicaService('event-poller', async (service) => {
  const { db, databaseOptions, replicas, queues, registry, config, log, signal, work, onPoll, onAddField } =
    service;
  const { poller } = config;
  const holder = holderName();
  const { pool } = db;
  const schemaWatch = createSchemaWatch(service);
  const events = queues.queue('events');
  let leading: number | null = null;
  const reach = createQueueReach(log);
  const metrics = createPollerMetrics(registry, pool, () => leading !== null);
  let wasDeep = false;

  /** Holds or takes the lease. A new leader looks first whether the log can be followed. */
  const lead = async (): Promise<number | null> => {
    const epoch = await acquireLease(pool, LEASE, holder, poller.leaseMs);
    if (epoch === null) {
      if (leading !== null) log.warn('another poller leads now');
      leading = null;
      return null;
    }
    if (leading !== epoch) {
      const done = await onReplica(replicas.current, ensureCheckpoint);
      log.info({ epoch, checkpoint: done ?? 'holds' }, 'leads');
      leading = epoch;
      // Whoever led before may have been killed between storing events and enqueueing them.
      reach.missed = true;
    }
    return epoch;
  };

  onPoll(async () => {
    if (leading === null) return nothing('stands by');
    if (work.paused) return nothing('is paused');
    work.bell.ring();
    return done('polls now');
  });
  onAddField(async (path) => {
    if (leading === null) return nothing('stands by');
    const id = await addField({ db, databaseOptions, replica: replicas.current }, path);
    return id === null ? nothing('is kept already') : done(`generation ${id} keeps it, and is scanned`);
  });
  const pollOnce = async (): Promise<number> => {
    const epoch = await lead();
    if (epoch === null) return poller.leaseMs / 4;
    // Paused, it keeps its lease: nobody else is to poll either.
    if (work.paused) return Math.min(poller.intervalMs, poller.leaseMs / 4);
    const depth = await reach.attempt(() => events.waiting());
    metrics.setDepth(depth);
    if (depth !== null && depth > poller.queueDepthMax) {
      if (!wasDeep) log.warn({ depth }, 'polling pauses: the queue is deep');
      wasDeep = true;
      return poller.intervalMs;
    }
    wasDeep = false;
    const watermark = await readWatermark(pool);
    if (watermark === null) throw new Error('no watermark');
    const startedAt = performance.now();
    try {
      const lease = { name: LEASE, holder, epoch };
      const polled = await onReplica(replicas.current, (replica) =>
        poll(replica, watermark.polledThrough, { ...poller, lease, onSchemaEvents: schemaWatch.onEvents }),
      );
      // They are stored: what cannot be enqueued now is swept up later.
      await reach.attempt(() => enqueueEvents(events, polled.events));
      const { stored, storedLate, gaps } = polled;
      if (stored > 0) log.debug({ stored, storedLate, gaps }, 'polled');
      metrics.countPoll(polled, (performance.now() - startedAt) / 1_000);
      if (polled.expired.length > 0)
        log.warn({ gaps: polled.expired }, 'events never came; their time is scanned');
      // From the begin of one poll to the next, so that a slow site does not make the interval longer than it is said to be.
      const tookMs = performance.now() - startedAt;
      return polled.full ? 0 : Math.max(poller.intervalMs - tookMs, poller.intervalMs * LEAST_PAUSE);
    } catch (error) {
      metrics.countFailure();
      if (error instanceof LeaseLost) leading = null;
      throw error;
    }
  };
  let underWay: Promise<unknown> = Promise.resolve();
  const polling = loop('polling', { signal, log, bell: work.bell }, () => {
    const polled = pollOnce();
    underWay = polled.catch(() => {
      // The loop says it.
    });
    return polled;
  });
  await work.govern({
    pause: async () => {
      await Promise.race([underWay, pause(POLL_ENDS_MS, signal)]);
    },
    resume: async () => {},
  });

  const forgetting = loop('forgetting old events', { signal, log }, async () => {
    if (leading === null) return FORGET_MS;
    const events = await forgetEvents(pool, poller.eventKeepMs, FORGET_BATCH);
    const scans = await forgetScans(pool, config.scanner.scanKeepMs, FORGET_BATCH);
    if (events + scans > 0) log.info({ events, scans }, 'old events and scans were deleted');
    return events === FORGET_BATCH ? 0 : FORGET_MS;
  });

  // A poll may take longer than the lease, or come less often.
  const leasing = loop('keeping the lease', { signal, log }, async () => {
    if (leading !== null && (await acquireLease(pool, LEASE, holder, poller.leaseMs)) === null) {
      log.warn('another poller leads now');
      leading = null;
    }
    return poller.leaseMs / 4;
  });

  const sweeping = loop('sweeping', { signal, log }, async () => {
    const count = await sweep(replicas.current, queues, reach, poller.sweepAfterMs);
    metrics.countSwept(count);
    if (count > 0) log.warn({ count }, 'events were stored and not applied; enqueued again');
    return SWEEP_MS;
  });

  const watching = loop('looking after the schema', { signal, log }, async () => {
    if (leading !== null) await schemaWatch.look();
    return SCHEMA_LOOK_MS;
  });

  await Promise.all([polling, leasing, forgetting, sweeping, watching]);
  await releaseLease(pool, LEASE, holder);
});
