import { AsOfRefused, type Moment, readAsOf } from '@understudy/pipeline/as-of/read-as-of';
import type { Replica } from '@understudy/pipeline/replica';
import { identifierField } from '@understudy/schema/display-name';
import { countArgument, listArgument, timeArgument } from '../arguments.ts';
import { CommandFailure, EXIT_NO, EXIT_USAGE } from '../failure.ts';
import { printJson } from '../output.ts';
import { preparedReplica } from '../replica.ts';
import type { RegisterCommand } from './all.ts';

interface ReadOptions {
  readonly asOf?: Moment;
  readonly fields?: readonly string[];
}

const PAGE_SIZE = 500;

/** `1234` is an event, anything else a time. */
function momentArgument(text: string): Moment {
  return /^\d+$/.test(text) ? { event: countArgument(0)(text) } : { time: timeArgument(text) };
}

/** `understudy read`: what the replica answers, or would have answered. */
export const registerRead: RegisterCommand = (program, line) => {
  program
    .command('read')
    .description('answer a read from the replica, as it is or as it was')
    .argument('<what>', 'an entity type, or the payload of the API’s read as JSON')
    .argument('[filters]', 'with a type: its conditions as JSON, [["code", "is", "sh010"], …]')
    .option('--as-of <moment>', 'as it was after this event (its id), or at this time', momentArgument)
    .option('--fields <fields>', 'with a type: which fields, with commas between', listArgument)
    .addHelpText(
      'after',
      `
How it was is found by undoing the data-update log from now backwards. What lies before the log's beginning, or before
the first scan of a type, is refused; display names of links are those of now.

Examples:
  understudy read Shot '[["sg_status_list", "is", "fin"]]' --fields code,sg_status_list --as-of 2h
  understudy read Shot '[["id", "is", 862]]' --as-of 1204567`,
    )
    .action((what: string, filters: string | undefined, options: ReadOptions) =>
      line.run(['site', 'database'], async (parts) => {
        const replica = await preparedReplica(parts);
        const payload = payloadOf(replica, what, filters, options);
        try {
          const entities = JSON.parse(await readAsOf(replica, payload, options.asOf ?? null)) as unknown[];
          printJson(entities);
          if (!isPayload(what) && entities.length === PAGE_SIZE)
            process.stderr.write(
              `understudy: the first ${PAGE_SIZE}; filters, or the payload of a read with its page, give others\n`,
            );
        } catch (error) {
          if (error instanceof AsOfRefused) throw new CommandFailure(error.message, EXIT_NO);
          throw error;
        }
      }),
    );
};

const isPayload = (what: string): boolean => what.trimStart().startsWith('{');

function payloadOf(
  { schema }: Pick<Replica, 'schema'>,
  what: string,
  filters: string | undefined,
  options: ReadOptions,
): unknown {
  if (isPayload(what)) return jsonOf(what, 'the payload');
  const conditions = filters === undefined ? [] : jsonOf(filters, 'the filters');
  if (!Array.isArray(conditions) || !conditions.every(Array.isArray))
    throw new CommandFailure('the filters are a list of conditions: [["code", "is", "sh010"]]', EXIT_USAGE);
  return {
    type: what,
    return_fields: options.fields ?? [identifierField(what, schema)],
    filters: {
      logical_operator: 'and',
      conditions: conditions.map(([path, relation, ...values]) => ({ path, relation, values })),
    },
    return_only: 'active',
    sorts: [{ field_name: 'id', direction: 'asc' }],
    paging: { entities_per_page: PAGE_SIZE, current_page: 1 },
    api_return_image_urls: true,
  };
}

function jsonOf(text: string, noun: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandFailure(`${noun} is no JSON: ${String(error)}`, EXIT_USAGE);
  }
}
