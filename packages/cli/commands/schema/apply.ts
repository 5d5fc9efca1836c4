import type { RegisterCommand } from '../all.ts';
import { declaredIn, generationIn, preparedSnapshot } from './schema-parts.ts';
import { activateReady, move, rescan, tell } from './steps.ts';

/** `understudy schema apply FILE`: move, rescan and activate, one after the other. */
export const registerApply: RegisterCommand = (program, line) => {
  program
    .command('apply <file>')
    .description('roll out a schema file: move, rescan, activate')
    .addHelpText(
      'after',
      `
Readers serve the old generation until the new one is ready, and what a generation keeps passes through until it has
been scanned. May be killed and started again at any point: it takes up where it was left.

Examples:
  understudy schema diff schema/studio.yaml
  understudy schema apply schema/studio.yaml
  understudy schema rollback`,
    )
    .action((file: string) =>
      line.run(['site', 'database'], async (parts) => {
        const id = await move(parts, await declaredIn(file), file);
        if (id === null) {
          tell(parts, 'move', 0, 'this schema is served already');
          return;
        }
        await rescan(parts, id);
        const snapshot = await preparedSnapshot(parts);
        await activateReady(parts, generationIn(snapshot, ['ready', 'serving'], 'that is ready'));
      }),
    );
};
