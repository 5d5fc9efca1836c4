import { GenerationError, rollBack } from '@understudy/pipeline/advance-generation';
import { CommandFailure, EXIT_USAGE } from '../../failure.ts';
import type { RegisterCommand } from '../all.ts';
import { preparedSnapshot } from './schema-parts.ts';
import { tell } from './steps.ts';

/** `understudy schema rollback`: back to the generation before. */
export const registerRollback: RegisterCommand = (program, line) => {
  program
    .command('rollback')
    .description(
      'give up the generation on its way, or else serve the one before again; takes effect at once',
    )
    .action(() =>
      line.run(['database'], async (parts) => {
        await preparedSnapshot(parts);
        try {
          const { serving, retired } = await rollBack(await parts.database());
          tell(
            parts,
            'rollback',
            retired,
            `generation ${retired} is given up; generation ${serving} is served`,
          );
        } catch (error) {
          if (error instanceof GenerationError) throw new CommandFailure(error.message, EXIT_USAGE);
          throw error;
        }
      }),
    );
};
