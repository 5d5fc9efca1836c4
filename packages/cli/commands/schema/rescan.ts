import type { RegisterCommand } from '../all.ts';
import { generationIn, preparedSnapshot } from './schema-parts.ts';
import { rescan } from './steps.ts';

/** `understudy schema rescan`: the second step. */
export const registerRescan: RegisterCommand = (program, line) => {
  program
    .command('rescan')
    .description(
      'scan what is new in the generation that is followed, and wait until all of it can be served',
    )
    .addHelpText('after', '\nMay be stopped and started again: the scanners go on by themselves.')
    .action(() =>
      line.run(['site', 'database'], async (parts) => {
        const states = ['following', 'scanning', 'ready'] as const;
        await rescan(parts, generationIn(await preparedSnapshot(parts), states, 'to be scanned').id);
      }),
    );
};
