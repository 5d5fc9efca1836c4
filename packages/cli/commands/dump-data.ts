import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { dumpEntities } from '@understudy/pipeline/data-file/dump';
import type { Replica } from '@understudy/pipeline/replica';
import { entityTable } from '@understudy/store/entity-tables';
import { fetchedFields } from '@understudy/store/merge/fetched';
import { idsArgument, listArgument } from '../arguments.ts';
import { CommandFailure, EXIT_USAGE } from '../failure.ts';
import { startProgress } from '../progress.ts';
import { preparedReplica, typesAsked } from '../replica.ts';
import { countText } from '../text.ts';
import type { RegisterCommand } from './all.ts';

interface DumpDataOptions {
  readonly types?: readonly string[];
  readonly projects?: readonly number[];
  readonly fields?: readonly string[];
  readonly output?: string;
}

/** `understudy dump-data`: entities of the replica as JSON lines. */
export const registerDumpData: RegisterCommand = (program, line) => {
  program
    .command('dump-data')
    .description('write entities of the replica as JSON lines, one entity a line')
    .option('--types <types>', 'only these entity types, with commas between', listArgument)
    .option('--projects <ids>', 'only entities of these projects (and the projects)', idsArgument)
    .option('--fields <fields>', 'only these fields, with commas between', listArgument)
    .option('--output <file>', 'write into this file instead of the standard output')
    .addHelpText(
      'after',
      `
Each line has type, id and _active (false: retired), then the fields as a reader answers them.

Examples:
  understudy dump-data --output studio.jsonl
  understudy dump-data --types Shot,Task --projects 70 | gzip > project-70.jsonl.gz
  understudy dump-data --types Shot --fields code,sg_status_list | jq -r .code`,
    )
    .action((options: DumpDataOptions) =>
      line.run(['site', 'database'], async (parts) => {
        const replica = await preparedReplica(parts);
        const types = typesAsked(replica, options.types);
        checkFields(replica, types, options.fields);
        const progress = startProgress(await countRows(replica, types), 'entities');
        let count = 0;
        try {
          const { projects, fields } = options;
          const dump = dumpEntities(replica, {
            types,
            ...(projects === undefined ? {} : { projects }),
            ...(fields === undefined ? {} : { fields }),
          });
          const texts = async function* (): AsyncGenerator<string> {
            for await (const piece of dump) {
              yield piece.text;
              count += piece.count;
              progress.update(count, piece.type);
            }
          };
          const out = options.output === undefined ? process.stdout : createWriteStream(options.output);
          await pipeline(texts, out, { signal: parts.signal, end: out !== process.stdout });
        } finally {
          progress.stop();
        }
        process.stderr.write(`${countText(count, 'entity')} written\n`);
      }),
    );
};

/** @throws CommandFailure for a field that none of the types keeps. */
function checkFields({ schema }: Replica, types: readonly string[], asked: readonly string[] = []): void {
  const kept = new Set(['type', 'id']);
  for (const name of types) {
    const type = schema.types.get(name);
    if (type !== undefined) for (const field of fetchedFields(entityTable(type))) kept.add(field);
  }
  const unknown = asked.filter((field) => !kept.has(field));
  if (unknown.length > 0)
    throw new CommandFailure(`kept of none of these types: ${unknown.join(', ')}`, EXIT_USAGE);
}

async function countRows({ db, schema }: Replica, types: readonly string[]): Promise<number> {
  const tables = types.flatMap((name) => {
    const type = schema.types.get(name);
    return type === undefined ? [] : [entityTable(type).sqlName];
  });
  const { rows } = await db.pool.query<{ n: string | null }>(
    'select sum(greatest(reltuples, 0)) as n from pg_class where oid = any($1::regclass[])',
    [tables],
  );
  return Math.round(Number(rows[0]?.n ?? 0));
}
