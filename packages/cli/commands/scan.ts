import { setTimeout as delay } from 'node:timers/promises';
import { planFullScan, planTimeScan } from '@understudy/pipeline/plan-scan';
import type { Replica } from '@understudy/pipeline/replica';
import { type ScanProgress, scanProgress } from '@understudy/store/scans';
import { idsArgument, listArgument, timeArgument } from '../arguments.ts';
import type { CommandParts } from '../command-line.ts';
import { CommandFailure, EXIT_FAILED, EXIT_STOPPED, EXIT_USAGE } from '../failure.ts';
import { printJson, printLine } from '../output.ts';
import { startProgress } from '../progress.ts';
import { preparedReplica, typesAsked } from '../replica.ts';
import { countText } from '../text.ts';
import type { RegisterCommand } from './all.ts';

interface ScanOptions {
  readonly full?: true;
  readonly since?: Date;
  readonly until?: Date;
  readonly types?: readonly string[];
  readonly projects?: readonly number[];
  readonly wait?: true;
}

const LOOK_MS = 500;
const REASON = 'asked for';

/** `understudy scan`: read the site again. */
export const registerScan: RegisterCommand = (program, line) => {
  program
    .command('scan')
    .description(
      'have the scanners read entities of the site again: all of them, or what changed in a span of time',
    )
    .option('--full', 'read everything, alive and retired, and find what vanished')
    .option(
      '--since <time>',
      'read what changed since then: 2026-11-24T08:00Z, or 90min, 2h, 3d ago',
      timeArgument,
    )
    .option('--until <time>', 'with --since: the end of the span', timeArgument)
    .option('--types <types>', 'only these entity types, with commas between', listArgument)
    .option(
      '--projects <ids>',
      'only entities of these projects; nothing is looked for that vanished',
      idsArgument,
    )
    .option('--wait', 'follow the scan to its end; Ctrl-C leaves it running')
    .addHelpText(
      'after',
      `
The scan is written down in PostgreSQL and done by the scanners, chunk by chunk; it goes on after any of them dies.
\`understudy status\` shows it. Readers go on serving meanwhile, and fresh events are never held up by it.

Exit code: 0 when it was begun (with --wait: when it is finished), 69 when the site or PostgreSQL is away.

Examples:
  understudy scan --full --wait
  understudy scan --since 2h --types Shot,Task
  understudy scan --full --projects 70`,
    )
    .action((options: ScanOptions) =>
      line.run(['site', 'database'], async (parts) => {
        checkOptions(options);
        const replica = await preparedReplica(parts);
        const types = typesAsked(replica, options.types);
        const id = await plan(parts, replica, types, options);
        if (!parts.json || options.wait === true)
          tell(parts, `Scan ${id} of ${countText(types.length, 'type')} begins.`);
        if (options.wait !== true) {
          if (parts.json) printJson({ scan: id, types });
          return;
        }
        const progress = await follow(parts, replica, id);
        if (!progress.finished) process.exitCode = EXIT_STOPPED;
        if (parts.json) printJson({ scan: id, types, ...progress });
        else if (progress.finished)
          printLine(`Scan ${id} is finished: ${countText(progress.rows, 'row')} read.`);
        else printLine(`Scan ${id} goes on without this command; \`understudy status\` shows it.`);
      }),
    );
};

/** For people while something goes on: on stderr where stdout is for a script. */
function tell(parts: CommandParts, text: string): void {
  if (parts.json) process.stderr.write(`${text}\n`);
  else printLine(text);
}

function checkOptions(options: ScanOptions): void {
  const isTimed = options.since !== undefined;
  if ((options.full === true) === isTimed)
    throw new CommandFailure('one of --full and --since TIME is needed', EXIT_USAGE);
  if (options.until !== undefined && (!isTimed || options.until <= (options.since ?? options.until)))
    throw new CommandFailure('--until needs a --since before it', EXIT_USAGE);
}

function plan(
  { config }: CommandParts,
  replica: Replica,
  types: readonly string[],
  { since, until, projects }: ScanOptions,
): Promise<number> {
  const some = projects === undefined ? {} : { projectIds: projects };
  if (since === undefined)
    return planFullScan(replica, { types, chunkSize: config.scanner.chunkSize, reason: REASON, ...some });
  const span = until === undefined ? { since } : { since, until };
  return planTimeScan(replica, { kind: 'span', types, reason: REASON, ...span, ...some });
}

/** Shows how a scan goes until it is finished or the command is stopped. */
async function follow({ signal }: CommandParts, replica: Replica, id: number): Promise<ScanProgress> {
  const bar = startProgress(1, 'chunks');
  try {
    for (;;) {
      const progress = await scanProgress(replica.db.pool, id);
      if (progress === null)
        throw new CommandFailure(`scan ${id} was given up: the event log could not be followed`, EXIT_FAILED);
      bar.setTotal(progress.chunks);
      bar.update(progress.chunksDone, progress.errors[0] ?? countText(progress.rows, 'row'));
      if (progress.finished || signal.aborted) return progress;
      await delay(LOOK_MS, undefined, { signal }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  } finally {
    bar.stop();
  }
}
