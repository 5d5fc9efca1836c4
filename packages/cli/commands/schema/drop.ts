import { dropReleased, releaseRetired } from '@understudy/pipeline/advance-generation';
import { countText } from '../../text.ts';
import type { RegisterCommand } from '../all.ts';
import { preparedSnapshot } from './schema-parts.ts';
import { tell } from './steps.ts';

/** Readers need this long to stop reading what is followed no longer. */
const READERS_KNOW_MS = 60_000;

/** `understudy schema drop`: what the scanners do once the grace time is over, at once. */
export const registerDrop: RegisterCommand = (program, line) => {
  program
    .command('drop')
    .description('stop following generations that were replaced, and drop the columns that nobody uses')
    .option(
      '--now',
      'without waiting for the time set by schema.retiredKeepMs: no rollback to them after that',
    )
    .action((options: { readonly now?: true }) =>
      line.run(['database'], async (parts) => {
        await preparedSnapshot(parts);
        const db = await parts.database();
        for (const id of await releaseRetired(
          db,
          options.now === true ? 0 : parts.config.schema.retiredKeepMs,
        ))
          tell(parts, 'release', id, `generation ${id} is followed no longer`);
        const { dropped, kept } = await dropReleased(db, READERS_KNOW_MS);
        tell(parts, 'drop', 0, `${countText(dropped.length, 'column')} or tables dropped`);
        for (const { statement, why } of kept) tell(parts, 'keep', 0, `not yet: ${statement} (${why})`);
      }),
    );
};
