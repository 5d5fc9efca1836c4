import { setTimeout as delay } from 'node:timers/promises';
import { enqueueReprocessChunks } from '@understudy/pipeline/enqueue';
import { planEventReprocess, planRetirementReprocess } from '@understudy/pipeline/reprocess/plan-reprocess';
import { openReprocessChunks, type ReprocessProgress, readReprocesses } from '@understudy/store/reprocess';
import { InvalidArgumentError } from 'commander';
import { listArgument, timeArgument } from '../arguments.ts';
import type { CommandParts } from '../command-line.ts';
import { CommandFailure, EXIT_FAILED, EXIT_USAGE } from '../failure.ts';
import { printJson, printLine } from '../output.ts';
import { startProgress } from '../progress.ts';
import { preparedReplica, typesAsked } from '../replica.ts';
import { countText, numberText } from '../text.ts';
import type { RegisterCommand } from './all.ts';

interface ReprocessOptions {
  readonly retirement?: true;
  readonly events?: { readonly fromId: number; readonly toId: number };
  readonly since?: Date;
  readonly types?: readonly string[];
  readonly wait?: true;
}

const LOOK_MS = 500;
const CHUNKS_AT_ONCE = 1_000;

/** `FROM..TO`, both ends belonging to it. @throws InvalidArgumentError */
function rangeArgument(text: string): { readonly fromId: number; readonly toId: number } {
  const match = /^(\d+)\.\.(\d+)$/.exec(text);
  const [fromId, toId] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || !(fromId <= toId) || !Number.isSafeInteger(toId))
    throw new InvalidArgumentError('event ids like 1000..2000');
  return { fromId, toId };
}

/** `understudy reprocess`: has what was missed repaired by the retirement-reprocessor. */
export const registerReprocess: RegisterCommand = (program, line) => {
  program
    .command('reprocess')
    .description(
      'have missed retirements and revivals repaired, or a stretch of the stored event log applied again',
    )
    .option('--retirement', 'compare who is alive and who is retired with the site, id by id')
    .option(
      '--since <time>',
      'first look at what retirement and revival events since then tell of',
      timeArgument,
    )
    .option('--types <types>', 'only these entity types, with commas between', listArgument)
    .option('--events <from..to>', 'apply these stored events again; nothing moves backwards', rangeArgument)
    .option('--wait', 'wait until it is done')
    .addHelpText(
      'after',
      `
The work is done by the retirement-reprocessor; "understudy status" shows how far it is. Asking again is harmless.

Exit code: 0 when it is planned (with --wait: done), 69 when the site or PostgreSQL is away.

Examples:
  understudy reprocess --retirement --wait
  understudy reprocess --retirement --since 7d --types Shot,Version
  understudy reprocess --events 120000..125000 --wait`,
    )
    .action((options: ReprocessOptions) =>
      line.run(['site', 'database'], async (parts) => {
        if ((options.retirement === true) === (options.events !== undefined))
          throw new CommandFailure('say either --retirement or --events FROM..TO', EXIT_USAGE);
        if (options.events !== undefined && (options.since ?? options.types) !== undefined)
          throw new CommandFailure('--since and --types go with --retirement', EXIT_USAGE);
        const replica = await preparedReplica(parts);
        const reason = 'asked for on the command line';
        const id =
          options.events === undefined
            ? await planRetirementReprocess(replica, {
                types: typesAsked(replica, options.types),
                chunkSize: parts.config.reprocessor.chunkSize,
                reason,
                ...(options.since === undefined ? {} : { since: options.since }),
              })
            : await planEventReprocess(replica, { ...options.events, reason });
        const chunks = await openReprocessChunks(replica.db.pool, CHUNKS_AT_ONCE);
        await enqueueReprocessChunks(parts.queues().queue('reprocess'), chunks);
        const run = options.wait === true ? await finished(parts, id) : await progressOf(parts, id);
        if (parts.json) printJson(run);
        else
          printLine(
            run.finishedAt === null
              ? `reprocess ${id} is planned: ${countText(run.chunks, 'job')}`
              : `reprocess ${id} is done: ${numberText(run.checked)} looked at, ${numberText(run.repaired)} repaired`,
          );
      }),
    );
};

async function progressOf(parts: CommandParts, id: number): Promise<ReprocessProgress> {
  const { pool } = await parts.database();
  const [run] = await readReprocesses(pool, { id });
  if (run === undefined) throw new CommandFailure(`reprocess ${id} is gone`, EXIT_FAILED);
  return run;
}

async function finished(parts: CommandParts, id: number): Promise<ReprocessProgress> {
  const first = await progressOf(parts, id);
  const progress = startProgress(first.chunks, 'jobs');
  try {
    for (;;) {
      const run = await progressOf(parts, id);
      progress.update(run.chunksDone, `${numberText(run.repaired)} repaired`);
      if (run.finishedAt !== null) return run;
      await delay(LOOK_MS, undefined, { signal: parts.signal });
    }
  } finally {
    progress.stop();
  }
}
