import { setTimeout as delay } from 'node:timers/promises';
import { type Headline, headlineOf } from '@understudy/runtime/status/headline';
import { createStatusWatch, type SystemStatus } from '@understudy/runtime/status/system-status';
import { InvalidArgumentError } from 'commander';
import { CommandFailure, EXIT_NO, EXIT_UNAVAILABLE } from '../failure.ts';
import { printJson, printJsonLine, printLine, printTable } from '../output.ts';
import { barText, countText, numberText, spanText } from '../text.ts';
import type { RegisterCommand } from './all.ts';

interface StatusOptions {
  /** Seconds between two looks. */
  readonly watch?: number | true;
  readonly check?: true;
}

const DEFAULT_WATCH_S = 1;
/** Whoever asks once would rather wait than hear of a busy server that it is away. */
const TIMEOUT_MS = 15_000;
const CLEAR_SCREEN = '\u001B[2J\u001B[3J\u001B[H';
const MARKS = { ok: '●', busy: '◐', warning: '▲', problem: '✖' } as const;

/** `understudy status`: how it goes. */
export const registerStatus: RegisterCommand = (program, line) => {
  program
    .command('status')
    .description(
      'show every service, how far the event log is followed, queues, refreshes, scans and the generation',
    )
    .option('--watch [seconds]', 'show it again and again until Ctrl-C', secondsOption)
    .option('--check', 'end with 1 when something is wrong, as monitoring wants it')
    .addHelpText(
      'after',
      `
Exit code: 0 when everything could be read, 69 when PostgreSQL or the queue is away (what can be read is shown),
1 with --check when something is wrong.

Examples:
  understudy status
  understudy status --watch 2
  understudy status --json | jq .watermark.lagMs`,
    )
    .action((options: StatusOptions) =>
      line.run(['database'], async (parts) => {
        const { config, json, signal } = parts;
        const database = await parts.database();
        const watch = createStatusWatch(database.pool, parts.queues(), config.queue.url, TIMEOUT_MS);
        const everyMs = options.watch === undefined ? null : secondsOf(options.watch) * 1_000;
        for (;;) {
          const status = await watch.read();
          const headline = headlineOf(status, config.reader.maxLagMs);
          if (everyMs === null) {
            if (json) printJson(statusJson(headline, status));
            else printStatus(headline, status);
            return conclude(options, headline, status);
          }
          if (process.stdout.isTTY && !json) process.stdout.write(CLEAR_SCREEN);
          if (json) printJsonLine(statusJson(headline, status));
          else printStatus(headline, status);
          await delay(everyMs, undefined, { signal }).catch((error: unknown) => {
            if (!signal.aborted) throw error;
          });
          if (signal.aborted) return;
          if (!json && !process.stdout.isTTY) printLine();
        }
      }),
    );
};

function secondsOption(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.1)) throw new InvalidArgumentError('at least 0.1 seconds');
  return seconds;
}

const secondsOf = (watch: number | true): number => (watch === true ? DEFAULT_WATCH_S : watch);

function conclude(options: StatusOptions, headline: Headline, status: SystemStatus): void {
  const away = [status.database, status.queue].some((part) => part.state === 'away');
  if (away) throw new CommandFailure('not everything could be read', EXIT_UNAVAILABLE);
  if (options.check === true && headline.level === 'problem')
    throw new CommandFailure('something is wrong', EXIT_NO);
}

/** For scripts: the parts of the report beside each other, null where PostgreSQL is away. */
function statusJson(headline: Headline, { report, ...status }: SystemStatus): object {
  const none = {
    watermark: null,
    services: null,
    gaps: null,
    events: null,
    refreshes: null,
    scans: null,
    lastScans: null,
    reprocesses: null,
    drift: null,
    servedTypes: null,
  };
  return { headline, ...status, ...(report ?? none) };
}

function printStatus(headline: Headline, status: SystemStatus): void {
  printLine(`${MARKS[headline.level]} ${headline.text}`);
  for (const note of headline.notes) printLine(`  ${MARKS[note.level]} ${note.text}`);
  printLine();
  const { report, generation, queues } = status;
  if (report !== null) {
    printTable([], factsOf(report, generation));
    printLine();
    printTable(
      ['SERVICE', 'INSTANCE', 'STATE', 'VERSION', 'SILENT FOR'],
      report.services.map((one) => [
        one.service,
        one.instance,
        one.state,
        one.version,
        spanText(one.silentMs),
      ]),
    );
    printLine();
  }
  if (queues !== null) {
    printTable(
      ['QUEUE', 'WAITING', 'ACTIVE', 'DELAYED', 'FAILED'],
      queues.map((one) => [one.queue, one.waiting, one.active, one.delayed, one.failed]),
    );
  }
  if (report !== null && report.scans.length > 0) {
    printLine();
    printTable(
      ['SCAN', 'TYPE', 'DONE', 'CHUNKS', 'ROWS'],
      scansOf(report.scans).map((one) => [
        `${one.kind} ${one.id}`,
        one.type,
        barText(one.chunksDone / one.chunks),
        `${numberText(one.chunksDone)} of ${numberText(one.chunks)}`,
        one.rows,
      ]),
    );
  }
  if (report !== null && report.reprocesses.length > 0) {
    printLine();
    printTable(
      ['REPROCESS', 'REASON', 'DONE', 'JOBS', 'LOOKED AT', 'REPAIRED'],
      report.reprocesses.map((one) => [
        `${one.kind} ${one.id}`,
        one.reason,
        barText(one.chunks === 0 ? 1 : one.chunksDone / one.chunks),
        `${numberText(one.chunksDone)} of ${numberText(one.chunks)}`,
        one.checked,
        one.repaired,
      ]),
    );
  }
}

type Scans = NonNullable<SystemStatus['report']>['scans'];

/** A scan under way type by type, a finished one in a line. */
function scansOf(scans: Scans): Scans {
  return [...Map.groupBy(scans, (one) => one.id).values()].flatMap((ofScan) => {
    const sum = (of: 'chunks' | 'chunksDone' | 'rows'): number => ofScan.reduce((n, one) => n + one[of], 0);
    const [first] = ofScan;
    if (first === undefined || sum('chunksDone') < sum('chunks')) return ofScan;
    const type = countText(ofScan.length, 'type');
    return [{ ...first, type, chunks: sum('chunks'), chunksDone: sum('chunksDone'), rows: sum('rows') }];
  });
}

function factsOf(
  { watermark, gaps, events, refreshes, lastScans, drift, servedTypes }: NonNullable<SystemStatus['report']>,
  generation: SystemStatus['generation'],
): readonly (readonly string[])[] {
  const followed =
    watermark === null
      ? 'not followed yet'
      : `polled through ${watermark.polledThrough}, applied through ${watermark.appliedThrough}, ` +
        (watermark.lagMs === null ? 'not polled yet' : `${spanText(watermark.lagMs)} behind`);
  const missing = gaps.open === 0 ? 'none' : `${gaps.open} open, ${countText(gaps.ids, 'id')} missing`;
  const cached =
    generation === null
      ? 'none yet'
      : `${generation.id} ${generation.state}, ${countText(generation.types, 'type')}, ${servedTypes.length} served, ` +
        `${countText(generation.differences.length, 'difference')} from the site${nextText(generation.next)}`;
  return [
    ['event log', followed],
    ['gaps', missing],
    [
      'events',
      `${numberText(events.waiting)} waiting, ${numberText(events.parked)} parked, ${numberText(events.stored)} stored`,
    ],
    [
      'refreshes',
      `${numberText(refreshes.waiting)} waiting, ${numberText(refreshes.failing)} of them failing`,
    ],
    ['last scans', lastScansText(lastScans)],
    ['drift', driftText(drift)],
    ['generation', cached],
  ];
}

function lastScansText(scans: NonNullable<SystemStatus['report']>['lastScans']): string {
  const texts = scans.map(
    ({ kind, endedMs, rows }) => `${kind} ${spanText(endedMs)} ago, ${countText(rows, 'row')}`,
  );
  return texts.length === 0 ? 'none has ended yet' : texts.join('; ');
}

/** The generation that is on its way, if there is one. */
function nextText(next: NonNullable<SystemStatus['generation']>['next']): string {
  return next === null
    ? ''
    : `; ${next.id} ${next.state}, ${next.served} of ${countText(next.fields, 'field')} can be served`;
}

/** How far the replica was found to differ from the site. */
function driftText({ compared, different, share }: NonNullable<SystemStatus['report']>['drift']): string {
  if (share === null) return 'nothing was compared with the site in the last day';
  return `${(100 * share).toFixed(3)} %: ${numberText(different)} of ${countText(compared, 'entity')} compared in the last day`;
}
