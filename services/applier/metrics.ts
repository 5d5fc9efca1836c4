import { Counter, type Registry } from 'prom-client';

export interface ApplierMetrics {
  countApplied(events: number): void;
  countParked(): void;
  countRefreshed(entities: number): void;
}

/** What an applier tells Prometheus, besides its jobs. */
export function createApplierMetrics(registry: Registry): ApplierMetrics {
  const registers = [registry];
  const applied = new Counter({
    name: 'understudy_applier_events_applied_total',
    help: 'Events applied; those that were applied before are not counted',
    registers,
  });
  const parked = new Counter({
    name: 'understudy_applier_events_parked_total',
    help: 'Events put aside because they cannot be applied',
    registers,
  });
  const refreshed = new Counter({
    name: 'understudy_applier_entities_refreshed_total',
    help: 'Entities fetched again from the site because they were in doubt',
    registers,
  });
  return {
    countApplied: (events) => applied.inc(events),
    countParked: () => parked.inc(),
    countRefreshed: (entities) => refreshed.inc(entities),
  };
}
