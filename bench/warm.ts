import type { CpuMeter } from './cpu.ts';
import type { LoadJob } from './load/load-generator.ts';
import type { LoadGenerator } from './load/processes.ts';

const STRETCH_MS = 2_000;
const STRETCHES_MAX = 10;
/** A stretch counts as better where a request takes less than this share of the best so far. */
const BETTER = 0.93;
/** After so many stretches that were not better, the code is compiled for good. */
const STEADY = 2;

/**
 * Servers run for days: before a read is measured, both sides answer it until their code is compiled. On a busy machine
 * that takes longer than any fixed time, since compiling waits for a core as well: measured before, a read of one row
 * took two to four times as much of the processor.
 */
export async function warm(
  load: LoadGenerator,
  cpu: CpuMeter,
  job: Pick<LoadJob, 'url' | 'requests' | 'clients'>,
): Promise<void> {
  let best = Number.POSITIVE_INFINITY;
  let steady = 0;
  for (let stretch = 0; stretch < STRETCHES_MAX && steady < STEADY; stretch += 1) {
    await cpu.used();
    const { count } = await load.run({ ...job, warmUpMs: 0, measureMs: STRETCH_MS });
    const each = (await cpu.used()).serverMs / count;
    steady = each > best * BETTER ? steady + 1 : 0;
    best = Math.min(best, each);
  }
}
