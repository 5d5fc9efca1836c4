import { configHelp } from '@understudy/runtime/config/help';
import { allKeys, environmentName, flagName } from '@understudy/runtime/config/load';
import { configMarkdown } from '@understudy/runtime/config/markdown';
import { printJson } from '../output.ts';
import type { RegisterCommand } from './all.ts';

/** `understudy config`: every configuration key, with its default and meaning. */
export const registerConfig: RegisterCommand = (program) => {
  program
    .command('config')
    .description('list every configuration key with its flag, environment name, default and meaning')
    .option('--markdown', 'as the page docs/configuration.md')
    .action((options: { readonly markdown?: true }) => {
      if (options.markdown === true) {
        process.stdout.write(configMarkdown());
        return;
      }
      if (program.opts()['json'] !== true) {
        process.stdout.write(configHelp('understudy'));
        return;
      }
      printJson(
        [...allKeys()].map(({ section, key, definition }) => ({
          key: `${section}.${key}`,
          flag: `--${flagName(section, key)}`,
          environment: environmentName(section, key),
          default: definition.secret ? null : definition.initial,
          doc: definition.doc,
        })),
      );
    });
};
