import cliProgress from 'cli-progress';

const NUMBERS = new Intl.NumberFormat('en-US');
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const BAR_WIDTH = 20;

/** `12,345` */
export function numberText(n: number): string {
  return NUMBERS.format(n);
}

/** A span of time for people, in the largest unit that says enough: `80 ms`, `3.2 s`, `12 min`, `5 h`. */
export function spanText(ms: number): string {
  if (ms < SECOND_MS) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < MINUTE_MS) return `${(ms / SECOND_MS).toFixed(1)} s`;
  if (ms < HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min`;
  return `${Math.round(ms / HOUR_MS)} h`;
}

/** `1 event`, `3 events`; `1 entity`, `3 entities`. */
export function countText(n: number, noun: string): string {
  const plural = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${numberText(n)} ${n === 1 ? noun : plural}`;
}

/** How much is done as a bar with its percentage. @param share from 0 to 1. */
export function barText(share: number): string {
  const bar = cliProgress.Format.BarFormat(share, {
    barsize: BAR_WIDTH,
    barCompleteString: '█'.repeat(BAR_WIDTH),
    barIncompleteString: '░'.repeat(BAR_WIDTH),
    barGlue: '',
  });
  return `${bar} ${String(Math.floor(100 * share)).padStart(3)} %`;
}
