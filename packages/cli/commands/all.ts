import type { Command } from 'commander';
import type { CommandLine } from '../command-line.ts';
import { registerConfig } from './config.ts';
import { registerCtl } from './ctl.ts';
import { registerDumpData } from './dump-data.ts';
import { registerEvents } from './events.ts';
import { registerExplain } from './explain.ts';
import { registerHistory } from './history.ts';
import { registerLoadData } from './load-data.ts';
import { registerRead } from './read.ts';
import { registerReprocess } from './reprocess.ts';
import { registerScan } from './scan.ts';
import { registerSchema } from './schema/schema.ts';
import { registerStatus } from './status.ts';
import { registerVerify } from './verify.ts';

/** Adds a subcommand to the program. */
export type RegisterCommand = (program: Command, line: CommandLine) => void;

/** Every subcommand, in the order of `--help`. Add one here and write it in a file of its own. */
export const COMMANDS: readonly RegisterCommand[] = [
  registerStatus,
  registerScan,
  registerVerify,
  registerEvents,
  registerExplain,
  registerReprocess,
  registerHistory,
  registerRead,
  registerDumpData,
  registerLoadData,
  registerCtl,
  registerSchema,
  registerConfig,
];
