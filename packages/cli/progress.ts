import cliProgress from 'cli-progress';

/** A bar on stderr in a terminal; nothing where nobody looks. */
export interface Progress {
  /** @param done out of the total. @param label what is being done. */
  update(done: number, label: string): void;
  setTotal(total: number): void;
  stop(): void;
}

const WAIT_FOR_NEXT_MS = 100;

/** @param noun of what is counted, in the plural. */
export function startProgress(total: number, noun: string): Progress {
  if (!process.stderr.isTTY) return { update: () => {}, setTotal: () => {}, stop: () => {} };
  const bar = new cliProgress.SingleBar(
    {
      stream: process.stderr,
      format: `{bar} {percentage} %  {value} of {total} ${noun}  {label}`,
      clearOnComplete: true,
      hideCursor: true,
      fps: 1_000 / WAIT_FOR_NEXT_MS,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(Math.max(total, 1), 0, { label: '' });
  return {
    update: (done, label) => bar.update(Math.min(done, bar.getTotal()), { label }),
    setTotal: (all) => bar.setTotal(Math.max(all, 1)),
    stop: () => bar.stop(),
  };
}
