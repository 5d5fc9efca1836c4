import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { DataLineError } from '@understudy/pipeline/data-file/data-line';
import { loadEntities } from '@understudy/pipeline/data-file/load';
import { CommandFailure, EXIT_FAILED } from '../failure.ts';
import { printJson, printLine } from '../output.ts';
import { startProgress } from '../progress.ts';
import { preparedReplica } from '../replica.ts';
import { countText } from '../text.ts';
import type { RegisterCommand } from './all.ts';

interface LoadDataOptions {
  readonly replace?: true;
}

/** `understudy load-data`: JSON lines back into a replica, through the merge. */
export const registerLoadData: RegisterCommand = (program, line) => {
  program
    .command('load-data')
    .description('load entities from JSON lines, as dump-data writes them, into the replica')
    .argument('[file]', 'the file; the standard input unless told')
    .option('--replace', 'values of the file replace those of the replica, as if the site had just sent them')
    .addHelpText(
      'after',
      `
Without --replace the file only fills what the replica does not have: whatever was heard from the site is newer.
Nothing is sent to the site. A type is served once it was scanned, loaded or not; "understudy verify" tells what of
the loaded data differs from the site by now.

Examples:
  understudy load-data studio.jsonl
  zcat project-70.jsonl.gz | understudy load-data`,
    )
    .action((file: string | undefined, options: LoadDataOptions) =>
      line.run(['site', 'database'], async (parts) => {
        const replica = await preparedReplica(parts);
        const input = file === undefined ? process.stdin : createReadStream(file, { signal: parts.signal });
        const total = file === undefined ? 0 : (await stat(file)).size;
        const progress = startProgress(total, 'bytes');
        let count = 0;
        try {
          const lines = createInterface({
            input,
            crlfDelay: Number.POSITIVE_INFINITY,
            signal: parts.signal,
          });
          await loadEntities(replica, lines, {
            mode: options.replace === true ? 'replace' : 'fill',
            onLoaded: (more) => {
              count += more;
              progress.update('bytesRead' in input ? input.bytesRead : count, countText(count, 'entity'));
            },
          });
          // Lines that are given up end as those of a file do.
          parts.signal.throwIfAborted();
        } catch (error) {
          if (!(error instanceof DataLineError)) throw error;
          throw new CommandFailure(
            `${error.message} (${countText(count, 'entity')} loaded before it)`,
            EXIT_FAILED,
          );
        } finally {
          progress.stop();
        }
        if (parts.json) printJson({ loaded: count });
        else printLine(`${countText(count, 'entity')} loaded`);
      }),
    );
};
