import { fitToSite } from '@understudy/schema/difference';
import { schemaChanges } from '@understudy/schema/schema-change';
import { EXIT_NO } from '../../failure.ts';
import { printJson, printLine } from '../../output.ts';
import type { RegisterCommand } from '../all.ts';
import { declaredIn, generationIn, preparedSnapshot, printChanges } from './schema-parts.ts';

/** `understudy schema diff [FILE]`: what applying a file would change. */
export const registerDiff: RegisterCommand = (program, line) => {
  program
    .command('diff [file]')
    .description('show what a schema file would change of the generation that is served')
    .addHelpText(
      'after',
      `
Without a file: what the newest generation changes of the one that is served.
Exit code: 0 when there is no difference, 1 when there are some.`,
    )
    .action((file: string | undefined) =>
      line.run(['database'], async (parts) => {
        const snapshot = await preparedSnapshot(parts);
        const live = ['serving', 'ready', 'scanning', 'following'] as const;
        const before =
          snapshot.generations.find(({ state }) => state === 'serving') ??
          generationIn(snapshot, live, 'that is followed');
        const after =
          file === undefined
            ? generationIn(snapshot, live, 'that is followed').declared
            : await declaredIn(file);
        const changes = schemaChanges(before.declared, after);
        const { state } = snapshot;
        const misfits = state === null ? [] : fitToSite(after, state.siteSchema).differences;
        if (parts.json) printJson({ generation: before.id, changes, differences: misfits });
        else {
          printChanges(changes);
          if (misfits.length > 0) printLine('The site does not have all of it; this part passes through:');
          for (const { message } of misfits) printLine(`  ${message}`);
          if (changes.length === 0) printLine(`no difference from generation ${before.id}`);
        }
        if (changes.length > 0) process.exitCode = EXIT_NO;
      }),
    );
};
