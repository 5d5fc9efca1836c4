import { fitToSite } from '@understudy/schema/difference';
import { EXIT_NO } from '../../failure.ts';
import { printJson, printLine } from '../../output.ts';
import { countText } from '../../text.ts';
import type { RegisterCommand } from '../all.ts';
import { fullSchemaOfSite } from './full-schema-source.ts';
import { declaredIn } from './schema-parts.ts';

/** `understudy schema check FILE`: does a schema file fit the site? */
export const registerCheck: RegisterCommand = (program, line) => {
  program
    .command('check <file>')
    .description(
      'compare a schema file with the site: what the site lacks, has otherwise, or gives each user otherwise',
    )
    .addHelpText(
      'after',
      '\nExit code: 0 when all of it fits, 1 when some does not (that part passes through).',
    )
    .action((file: string) =>
      line.run(['site'], async (parts) => {
        const declared = await declaredIn(file);
        const site = await fullSchemaOfSite(parts);
        const messages = fitToSite(declared, site).differences.map((one) => one.message);
        for (const type of declared.types.values()) {
          for (const field of type.fields.keys()) {
            if (site.get(type.name)?.get(field)?.isPerUser)
              messages.push(`${type.name}.${field} depends on who asks: it must not be kept`);
          }
        }
        if (parts.json) printJson({ file, differences: messages });
        else {
          for (const message of messages) printLine(message);
          printLine(
            `${file}: ${countText(declared.types.size, 'type')}, ${countText(messages.length, 'difference')}`,
          );
        }
        if (messages.length > 0) process.exitCode = EXIT_NO;
      }),
    );
};
