import type { Queryable } from '@understudy/store/database';
import { readWatermark } from '@understudy/store/watermark';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Polled } from './poll.ts';

const POLL_BUCKETS_S = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const NOT_KNOWN = Number.NaN;

export interface PollerMetrics {
  /** @param depth event jobs that wait; null while the queue is away. */
  setDepth(depth: number | null): void;
  countPoll(polled: Polled, seconds: number): void;
  countFailure(): void;
  countSwept(events: number): void;
}

/** What the event-poller tells Prometheus. What is not known now is not a number. */
export function createPollerMetrics(
  registry: Registry,
  q: Queryable,
  isLeading: () => boolean,
): PollerMetrics {
  const registers = [registry];
  new Gauge({
    name: 'understudy_poller_leading',
    help: '1 for the poller that leads, 0 for those that stand by',
    registers,
    collect() {
      this.set(isLeading() ? 1 : 0);
    },
  });
  const through = new Gauge({
    name: 'understudy_poller_polled_through_id',
    help: 'Event id through which the log was read',
    registers,
  });
  const applied = new Gauge({
    name: 'understudy_poller_applied_through_id',
    help: 'Event id below which everything is applied',
    registers,
  });
  new Gauge({
    name: 'understudy_poller_lag_seconds',
    help: 'How old what the replica shows may be',
    registers,
    async collect() {
      // PostgreSQL may be away: the other metrics are shown all the same.
      const watermark = await readWatermark(q).catch(() => null);
      this.set(watermark?.lagMs == null ? NOT_KNOWN : watermark.lagMs / 1_000);
      through.set(watermark?.polledThrough ?? NOT_KNOWN);
      applied.set(watermark?.appliedThrough ?? NOT_KNOWN);
    },
  });
  const polls = new Counter({
    name: 'understudy_poller_polls_total',
    help: 'Polls of the event log',
    labelNames: ['outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'understudy_poller_poll_seconds',
    help: 'Time from a poll’s request until its events are stored and enqueued',
    buckets: POLL_BUCKETS_S,
    registers,
  });
  const lastPoll = new Gauge({
    name: 'understudy_poller_last_poll_timestamp_seconds',
    help: 'When this process last polled with success',
    registers,
  });
  const stored = new Counter({
    name: 'understudy_poller_events_stored_total',
    help: 'Events stored; late ones filled a gap',
    labelNames: ['late'],
    registers,
  });
  const gaps = new Gauge({
    name: 'understudy_poller_gaps_open',
    help: 'Ranges of event ids that are missing and asked for',
    registers,
  });
  const expired = new Counter({
    name: 'understudy_poller_gaps_expired_total',
    help: 'Ranges of event ids that never came; what changed around their time was scanned',
    registers,
  });
  const swept = new Counter({
    name: 'understudy_poller_events_swept_total',
    help: 'Events enqueued again because they were stored and not applied for too long',
    registers,
  });
  const depth = new Gauge({
    name: 'understudy_poller_queue_depth',
    help: 'Event jobs that wait, as of the last poll',
    registers,
  });
  for (const outcome of ['done', 'failed']) polls.inc({ outcome }, 0);
  for (const late of ['no', 'yes']) stored.inc({ late }, 0);
  return {
    setDepth: (waiting) => depth.set(waiting ?? NOT_KNOWN),
    countPoll: (polled, took) => {
      polls.inc({ outcome: 'done' });
      seconds.observe(took);
      lastPoll.setToCurrentTime();
      stored.inc({ late: 'yes' }, polled.storedLate);
      stored.inc({ late: 'no' }, polled.stored - polled.storedLate);
      gaps.set(polled.gaps);
      expired.inc(polled.expired.length);
    },
    countFailure: () => polls.inc({ outcome: 'failed' }),
    countSwept: (events) => swept.inc(events),
  };
}
