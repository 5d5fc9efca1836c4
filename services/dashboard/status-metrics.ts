import type { SystemStatus } from '@understudy/runtime/status/system-status';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** What the dashboard tells Prometheus: the same as its page. */
export interface StatusMetrics {
  readonly contentType: string;
  /** @returns the text of the metrics, with `status` in it. What is not known is left out. */
  format(status: SystemStatus): Promise<string>;
}

/** Makes the gauges. Labels are types, queues, services: few by nature. */
export function createStatusMetrics(): StatusMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = <L extends string>(name: string, help: string, ...labelNames: readonly L[]): Gauge<L> =>
    new Gauge({ name: `understudy_${name}`, help, labelNames, registers: [registry] });

  const up = gauge('up', 'Whether the server that all services share can be used', 'part');
  const lag = gauge('lag_seconds', 'How old what the replica shows may be');
  const applied = gauge('applied_through_id', 'Event id below which everything is applied');
  const polled = gauge('polled_through_id', 'Event id through which the log was read');
  const gaps = gauge('gaps_open', 'Ranges of event ids that are missing and asked for');
  const drift = gauge(
    'drift_ratio',
    'Share of entities compared in the last day that differed from the site',
  );
  const compared = gauge('drift_compared', 'Entities compared with the site in the last day');
  const gapIds = gauge('gap_ids_open', 'Event ids that are missing and asked for');
  const events = gauge('events', 'Stored events that are not applied, counted to 100000', 'state');
  const refreshes = gauge('refresh_requests', 'Entities to be fetched again', 'state');
  const jobs = gauge('queue_jobs', 'Jobs in a queue', 'queue', 'state');
  const progress = gauge('scan_progress_ratio', 'Part of a scan that is done', 'kind', 'type');
  const rows = gauge('scan_rows', 'Entities read by a scan', 'kind', 'type');
  const scanAge = gauge('scan_age_seconds', 'Since the last scan of a kind ended', 'kind');
  const served = gauge('served_types', 'Entity types that are served from the replica');
  const types = gauge('cached_types', 'Entity types of the cached schema');
  // Prometheus has a label `instance` of its own: whom it asked.
  const silent = gauge(
    'service_silent_seconds',
    'Since a process last gave a sign of life',
    'service',
    'process',
  );

  const setReport = (report: NonNullable<SystemStatus['report']>): void => {
    const { watermark } = report;
    if (watermark !== null) {
      applied.set(watermark.appliedThrough);
      polled.set(watermark.polledThrough);
      if (watermark.lagMs !== null) lag.set(watermark.lagMs / 1_000);
    }
    compared.set(report.drift.compared);
    if (report.drift.share !== null) drift.set(report.drift.share);
    gaps.set(report.gaps.open);
    gapIds.set(report.gaps.ids);
    events.set({ state: 'waiting' }, report.events.waiting);
    events.set({ state: 'parked' }, report.events.parked);
    refreshes.set({ state: 'waiting' }, report.refreshes.waiting);
    refreshes.set({ state: 'failing' }, report.refreshes.failing);
    served.set(report.servedTypes.length);
    // In order of their ids: of two scans of a kind the later one stays.
    for (const { kind, type, chunks, chunksDone, rows: read } of report.scans) {
      progress.set({ kind, type }, chunksDone / chunks);
      rows.set({ kind, type }, read);
    }
    for (const { kind, endedMs } of report.lastScans) scanAge.set({ kind }, endedMs / 1_000);
    for (const { service, instance, silentMs } of report.services)
      silent.set({ service, process: instance }, silentMs / 1_000);
  };
  // Those without labels would show zero, which is a lie, where they are not set.
  const plain = [lag, applied, polled, gaps, gapIds, drift, compared, served, types];
  const labelled = [events, refreshes, jobs, progress, rows, scanAge, silent];

  return {
    contentType: registry.contentType,
    format: async (status) => {
      for (const one of plain) one.remove();
      for (const one of labelled) one.reset();
      up.set({ part: 'database' }, status.database.state === 'away' ? 0 : 1);
      up.set({ part: 'queue' }, status.queue.state === 'away' ? 0 : 1);
      if (status.report !== null) setReport(status.report);
      if (status.generation !== null) types.set(status.generation.types);
      for (const { queue, ...states } of status.queues ?? []) {
        for (const [state, count] of Object.entries(states)) jobs.set({ queue, state }, count);
      }
      return registry.metrics();
    },
  };
}
