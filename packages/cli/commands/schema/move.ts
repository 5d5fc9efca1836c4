import type { RegisterCommand } from '../all.ts';
import { declaredIn } from './schema-parts.ts';
import { move, tell } from './steps.ts';

/** `understudy schema move FILE`: the first step. */
export const registerMove: RegisterCommand = (program, line) => {
  program
    .command('move <file>')
    .description(
      'have pollers and appliers store the fields of a schema file from now on; readers stay as they are',
    )
    .action((file: string) =>
      line.run(['site', 'database'], async (parts) => {
        const id = await move(parts, await declaredIn(file), file);
        if (id === null) tell(parts, 'move', 0, 'this schema is served already');
      }),
    );
};
