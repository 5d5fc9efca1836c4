import type { RegisterCommand } from '../all.ts';
import { generationIn, preparedSnapshot } from './schema-parts.ts';
import { activateReady } from './steps.ts';

/** `understudy schema activate`: the last step. */
export const registerActivate: RegisterCommand = (program, line) => {
  program
    .command('activate')
    .description('have the readers serve the generation that is ready; they switch while running')
    .action(() =>
      line.run(['database'], async (parts) => {
        const snapshot = await preparedSnapshot(parts);
        const states = ['ready', 'scanning', 'following'] as const;
        await activateReady(parts, generationIn(snapshot, states, 'that is ready'));
      }),
    );
};
