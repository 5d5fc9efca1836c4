import { configHelp } from './help.ts';
import { ConfigError, loadConfig, type Need } from './load.ts';
import type { Config } from './sections.ts';

/** Exit code of a process whose configuration cannot be used (sysexits' EX_CONFIG). */
const EXIT_CONFIG = 78;

/**
 * What a service's main starts with: `--help` printed, or the configuration, or its faults said and the process
 * ended with a code of its own, so that an orchestrator can tell a typing error from a crash.
 */
export function configOrExit(service: string, needs: readonly Need[]): Config {
  const argv = process.argv.slice(2);
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(configHelp(service));
    process.exit(0);
  }
  try {
    return loadConfig({ needs, argv });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.problems.map((problem) => `${service}: ${problem}`).join('\n')}\n`);
    process.exit(EXIT_CONFIG);
  }
}
