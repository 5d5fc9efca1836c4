import { readFile } from 'node:fs/promises';
import { cachedSchemaJson, formatCachedSchema } from '@understudy/schema/cached-schema-file';
import { filterSchema, PatternError, parsePatterns } from '@understudy/schema/patterns';
import { CommandFailure, EXIT_USAGE } from '../../failure.ts';
import { printJson } from '../../output.ts';
import type { RegisterCommand } from '../all.ts';
import { fullSchemaIn, fullSchemaOfSite } from './full-schema-source.ts';

/** `understudy schema filter`: a schema file from patterns. */
export const registerFilter: RegisterCommand = (program, line) => {
  program
    .command('filter [dump]')
    .description('print the part of a full schema that patterns choose, as a schema file to apply')
    .requiredOption('--patterns <file>', 'the pattern file')
    .addHelpText(
      'after',
      `
The full schema is read from a file that \`schema dump\` wrote, or from the JSON of a schema_read; without one, from the
site.

Pattern lines; of those that match a field the first one decides, and what none matches is left out:
  + Shot                  every field of the type
  - Shot.smart_*          none of these
  Shot.sg_cut_in:number   this field, if it has that data type
  - *.*:image             no field of that data type
  # a comment
A field that is named in full and that the site lacks is written as \`absent\`: reads of it are answered without it.

Examples:
  understudy schema filter --patterns schema/default.patterns > schema/studio.yaml
  understudy schema filter studio-full.yaml --patterns studio.patterns`,
    )
    .action((dump: string | undefined, options: { readonly patterns: string }) =>
      line.run(dump === undefined ? ['site'] : [], async (parts) => {
        const patterns = await readFile(options.patterns, 'utf8')
          .then(parsePatterns)
          .catch((error: unknown) => {
            if (!(error instanceof PatternError) && !(error as { code?: string }).code) throw error;
            throw new CommandFailure(`${options.patterns}: ${(error as Error).message}`, EXIT_USAGE);
          });
        const full = dump === undefined ? await fullSchemaOfSite(parts) : await fullSchemaIn(dump);
        const schema = filterSchema(full, patterns);
        if (parts.json) printJson(JSON.parse(cachedSchemaJson(schema)));
        else process.stdout.write(formatCachedSchema(schema));
      }),
    );
};
