import { allKeys, flagName } from '@understudy/runtime/config/load';
import { VERSION } from '@understudy/runtime/heartbeat';
import { Command, Option } from 'commander';
import { type CommandLine, commandLine } from './command-line.ts';
import { COMMANDS } from './commands/all.ts';
import { EXIT_FAILED, EXIT_USAGE, exitCodeOf, tellFailure } from './failure.ts';

// Whoever reads the output may have seen enough: `understudy status | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  tellFailure(error);
  process.exit(EXIT_FAILED);
});

const program = new Command('understudy')
  .description('Looks at a replica of a Flow Production Tracking site and tells its services what to do.')
  .version(VERSION)
  .option('--config <file>', 'YAML file with the configuration (UNDERSTUDY_CONFIG)')
  .option('--json', 'print JSON for scripts instead of text for people')
  .addHelpText(
    'after',
    '\nEvery configuration key of the services may be given as a flag or in the environment: `understudy config` lists them.',
  )
  .showHelpAfterError('(--help says more)')
  // 1 would be read as a command's answer "no".
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE))
  .configureHelp({ showGlobalOptions: true });

for (const { section, key, definition } of allKeys()) {
  program.addOption(new Option(`--${flagName(section, key)} <value>`, definition.doc).hideHelp());
}

const line: CommandLine = commandLine(program);
for (const register of COMMANDS) register(program, line);

try {
  await program.parseAsync();
} catch (error) {
  tellFailure(error);
  process.exitCode = exitCodeOf(error) ?? EXIT_FAILED;
}
