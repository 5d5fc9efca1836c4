import type { RegisterCommand } from '../all.ts';
import { registerActivate } from './activate.ts';
import { registerApply } from './apply.ts';
import { registerCheck } from './check.ts';
import { registerDiff } from './diff.ts';
import { registerDrop } from './drop.ts';
import { registerDump } from './dump.ts';
import { registerFilter } from './filter.ts';
import { registerMove } from './move.ts';
import { registerRescan } from './rescan.ts';
import { registerRollback } from './rollback.ts';
import { registerSchemaStatus } from './status.ts';

const SUBCOMMANDS: readonly RegisterCommand[] = [
  registerSchemaStatus,
  registerDiff,
  registerApply,
  registerMove,
  registerRescan,
  registerActivate,
  registerRollback,
  registerDrop,
  registerDump,
  registerFilter,
  registerCheck,
];

/** `understudy schema …`: the cached part of the site's schema, and its generations. */
export const registerSchema: RegisterCommand = (program, line) => {
  const schema = program
    .command('schema')
    .description('roll out another cached schema, go back, and work on schema files')
    .configureHelp({ showGlobalOptions: true });
  for (const register of SUBCOMMANDS) register(schema, line);
};
