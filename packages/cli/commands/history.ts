import { type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import { type LoggedUpdate, readHistory, readUpdateLogSpan } from '@understudy/store/data-updates';
import { InvalidArgumentError } from 'commander';
import { countArgument, timeArgument } from '../arguments.ts';
import { printJson, printLine, printTable } from '../output.ts';
import type { RegisterCommand } from './all.ts';

interface HistoryOptions {
  readonly field?: string;
  readonly since?: Date;
  readonly limit: number;
}

const LIMIT = 200;
const VALUE_LENGTH_MAX = 60;

function idArgument(text: string): number {
  const id = Number(text);
  if (!Number.isSafeInteger(id) || id < 1) throw new InvalidArgumentError(`${text} is no id`);
  return id;
}

/** `understudy history Shot 123`: what the replica changed of an entity, when, and where it heard of it. */
export const registerHistory: RegisterCommand = (program, line) => {
  program
    .command('history')
    .description('show every change of an entity that the replica made, and where it heard of it')
    .argument('<type>', 'entity type')
    .argument('<id>', 'its id', idArgument)
    .option(
      '--field <name>',
      'only this field; _active is retirement and revival, _row the entity as a whole',
    )
    .option('--since <time>', 'only changes since then', timeArgument)
    .option('--limit <count>', 'the newest so many changes', countArgument(1), LIMIT)
    .addHelpText(
      'after',
      `
Values are as the site writes them, links without names. Of a list of links one link is told at a time.

Examples:
  understudy history Shot 862
  understudy history Task 9021 --field sg_status_list --since 7d
  understudy history Version 71 --json`,
    )
    .action((type: string, id: number, options: HistoryOptions) =>
      line.run(['database'], async (parts) => {
        const { pool } = await parts.database();
        const ref: EntityRef = { type, id };
        const [updates, span] = [await readHistory(pool, ref, options), await readUpdateLogSpan(pool)];
        if (parts.json) {
          printJson({ type, id, logSince: span?.since ?? null, logged: span?.logged ?? false, updates });
          return;
        }
        printTable(
          ['TIME', 'FIELD', 'OLD', 'NEW', 'SOURCE', 'EVENT', 'USER'],
          updates.map((update) => [
            update.at.toISOString().slice(0, 19).replace('T', ' '),
            update.field,
            ...valuesOf(update),
            update.source,
            update.eventId ?? '',
            update.user === null ? '' : `${update.user.type} ${update.user.id}`,
          ]),
        );
        if (updates.length === 0) printLine(`nothing is known of ${type} ${id} in that span`);
        if (span !== null)
          printLine(
            span.logged
              ? `the log begins ${span.since.toISOString()}`
              : 'the log is switched off (history.enabled)',
          );
      }),
    );
};

function valuesOf({ field, old, new: now }: LoggedUpdate): readonly [string, string] {
  if (field === '_row') return old === null ? ['', 'appeared'] : ['vanished', ''];
  return [textOf(old), textOf(now)];
}

function textOf(value: Json): string {
  if (value === null) return '';
  if (isEntityRef(value)) return `${value.type} ${value.id}`;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX - 1)}…` : text;
}
