import { formatFullSchema, plainFullSchema } from '@understudy/schema/full-schema';
import { printJson } from '../../output.ts';
import type { RegisterCommand } from '../all.ts';
import { fullSchemaOfSite } from './full-schema-source.ts';

/** `understudy schema dump`: all that the site says of its schema. */
export const registerDump: RegisterCommand = (program, line) => {
  program
    .command('dump')
    .description(
      'print the full schema of the site, public and private merged, as YAML (or JSON with --json)',
    )
    .addHelpText('after', '\nExample:\n  understudy schema dump > studio-full.yaml')
    .action(() =>
      line.run(['site'], async (parts) => {
        const full = await fullSchemaOfSite(parts);
        if (parts.json) printJson(plainFullSchema(full));
        else process.stdout.write(formatFullSchema(full));
      }),
    );
};
