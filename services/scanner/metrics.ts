import type { ScanKind } from '@understudy/store/scans';
import { Counter, type Registry } from 'prom-client';

const KINDS = ['full', 'fields', 'interval', 'span'] as const satisfies readonly ScanKind[];

export interface ScannerMetrics {
  countPage(kind: ScanKind, rows: number): void;
  countChunk(kind: ScanKind, outcome: 'done' | 'failed'): void;
  countPlanned(kind: ScanKind): void;
}

/** What a scanner tells Prometheus, besides its jobs. */
export function createScannerMetrics(registry: Registry): ScannerMetrics {
  const registers = [registry];
  const rows = new Counter({
    name: 'understudy_scanner_rows_total',
    help: 'Entities read by scans',
    labelNames: ['kind'],
    registers,
  });
  const chunks = new Counter({
    name: 'understudy_scanner_chunks_total',
    help: 'Chunks of scans that were worked on; failed ones are tried again',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const planned = new Counter({
    name: 'understudy_scanner_scans_planned_total',
    help: 'Scans that this process planned',
    labelNames: ['kind'],
    registers,
  });
  for (const kind of KINDS) {
    rows.inc({ kind }, 0);
    planned.inc({ kind }, 0);
    for (const outcome of ['done', 'failed']) chunks.inc({ kind, outcome }, 0);
  }
  return {
    countPage: (kind, count) => rows.inc({ kind }, count),
    countChunk: (kind, outcome) => chunks.inc({ kind, outcome }),
    countPlanned: (kind) => planned.inc({ kind }),
  };
}
