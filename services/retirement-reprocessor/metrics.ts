import { Counter, type Registry } from 'prom-client';

export interface ReprocessorMetrics {
  countChunk(done: { readonly kind: string; readonly checked: number; readonly repaired: number }): void;
  countFailure(kind: string): void;
  countAudit(compared: number, differing: number): void;
}

/** What the retirement-reprocessor tells Prometheus, besides its jobs. */
export function createReprocessorMetrics(registry: Registry): ReprocessorMetrics {
  const registers = [registry];
  const chunks = new Counter({
    name: 'understudy_reprocessor_chunks_total',
    help: 'Chunks that were reprocessed; failed ones are tried again',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const checked = new Counter({
    name: 'understudy_reprocessor_checked_total',
    help: 'Entities, or events, gone through again',
    labelNames: ['kind'],
    registers,
  });
  const repaired = new Counter({
    name: 'understudy_reprocessor_repaired_total',
    help: 'Entities that were not as they should be and were fetched again',
    labelNames: ['kind'],
    registers,
  });
  const compared = new Counter({
    name: 'understudy_audit_compared_total',
    help: 'Entities compared with the site by samples',
    registers,
  });
  const differing = new Counter({
    name: 'understudy_audit_differing_total',
    help: 'Entities of samples that differed from the site and were fetched again',
    registers,
  });
  return {
    countChunk: (done) => {
      chunks.inc({ kind: done.kind, outcome: 'done' });
      checked.inc({ kind: done.kind }, done.checked);
      repaired.inc({ kind: done.kind }, done.repaired);
    },
    countFailure: (kind) => chunks.inc({ kind, outcome: 'failed' }),
    countAudit: (all, different) => {
      compared.inc(all);
      differing.inc(different);
    },
  };
}
