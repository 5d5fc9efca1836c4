import { generationProgress } from '@understudy/pipeline/advance-generation';
import { fitToSite } from '@understudy/schema/difference';
import { printJson, printLine, printTable } from '../../output.ts';
import { countText } from '../../text.ts';
import type { RegisterCommand } from '../all.ts';
import { preparedSnapshot } from './schema-parts.ts';

const when = (date: Date | null): string => (date === null ? '' : `${date.toISOString().slice(0, 19)}Z`);

/** `understudy schema status`: every generation and where it stands. */
export const registerSchemaStatus: RegisterCommand = (program, line) => {
  program
    .command('status')
    .description('show the generations, how much of each can be served, and where they do not fit the site')
    .action(() =>
      line.run(['database'], async (parts) => {
        const snapshot = await preparedSnapshot(parts);
        const { state } = snapshot;
        const progress = await generationProgress(await parts.database());
        const generations = snapshot.generations.map((generation) => {
          const found = progress.find((one) => one.generation.id === generation.id);
          const { id, source, createdAt, servingAt, retiredAt, releasedAt, isAutomatic } = generation;
          const differences =
            state === null ? [] : fitToSite(generation.declared, state.siteSchema).differences;
          return {
            id,
            state: releasedAt === null ? generation.state : 'released',
            types: generation.schema.types.size,
            fields: found?.fields ?? null,
            served: found?.served ?? null,
            source,
            isAutomatic,
            createdAt,
            servingAt,
            retiredAt,
            differences: differences.map((one) => one.message),
          };
        });
        if (parts.json) {
          printJson({ epoch: state?.epoch, siteSchemaReadAt: state?.readAt, generations });
          return;
        }
        printTable(
          ['generation', 'state', 'types', 'fields', 'can be served', 'made', 'served since', 'source'],
          generations.map((one) => [
            one.id,
            one.state,
            one.types,
            one.fields ?? '',
            one.served ?? '',
            when(one.createdAt),
            when(one.servingAt),
            one.source,
          ]),
        );
        const [newest] = generations;
        if (newest === undefined || newest.differences.length === 0) return;
        printLine();
        printLine(
          `${countText(newest.differences.length, 'difference')} of generation ${newest.id} from the site:`,
        );
        for (const message of newest.differences) printLine(`  ${message}`);
      }),
    );
};
