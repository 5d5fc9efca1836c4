import { resolve } from 'node:path';
import { allKeys, flagName, loadConfig } from '@understudy/runtime/config/load';
import type { Config } from '@understudy/runtime/config/sections';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DevFailure } from './failure.ts';

export interface DevOptions {
  /** Everything that was given or has a default; addresses of the database and of the sandbox come later. */
  readonly config: Config;
  /** A real site is followed, not the sandbox. */
  readonly realSite: boolean;
  /** Null: a free one, the same at every start. */
  readonly postgresPort: number | null;
  /** PostgreSQL of one's own; null: the embedded one. */
  readonly databaseUrl: string | null;
  /** Jobs are queued elsewhere than in the database. */
  readonly queueUrl: string | null;
  /** Folder of all data; null: `.understudy` of the checkout, where the command finds it. */
  readonly folder: string | null;
  /** Forget all data first. */
  readonly reset: boolean;
  /** Which of the sandbox's data were asked for by name. */
  readonly seeding: readonly string[];
}

/** Short names for what is asked for most. */
const SHORT: Readonly<Record<string, string>> = {
  site: 'site-url',
  script: 'site-script-name',
  key: 'site-script-key',
  scale: 'sandbox-scale',
  traffic: 'sandbox-traffic',
  seed: 'sandbox-seed',
  queue: 'queue-url',
};

const camel = (flag: string): string =>
  flag.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

function port(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    throw new InvalidArgumentError('must be a port, 1 to 65535');
  }
  return number;
}

function program(): Command {
  const command = new Command('bin/dev')
    .description(
      'Starts everything on this machine: PostgreSQL, the sandbox site and every service. Ctrl-C stops it, a second one at once.',
    )
    .option('--site <url>', 'follow a real site instead of the sandbox')
    .option('--script <name>', 'name of the script that the real site is read with')
    .option('--key <key>', 'that script’s key (or UNDERSTUDY_SITE_SCRIPT_KEY, which no process list shows)')
    .option('--scale <entities>', 'size of the sandbox’s studio, about (default: 2000)')
    .option('--traffic <writes>', 'writes a second that the sandbox makes by itself (default: 0)')
    .option('--seed <number>', 'seed of the sandbox’s studio and traffic (default: 1)')
    .option('--queue <url>', 'redis://…, where jobs are queued (default: in PostgreSQL)')
    .option('--reader-port <port>', 'port of the api-reader (default: 8010)')
    .option('--sandbox-port <port>', 'port of the sandbox site (default: 8020)')
    .option('--dashboard-port <port>', 'port of the dashboard (default: 8030)')
    .option('--postgres-port <port>', 'port of PostgreSQL (default: a free one, kept for later starts)', port)
    .option('--database-url <url>', 'use this PostgreSQL instead of the embedded one')
    .option('--data <folder>', 'folder of all data (default: .understudy in the checkout)')
    .option('--reset', 'forget all data of earlier starts first')
    .addHelpText(
      'after',
      `
Every configuration key of the services may be given as well: \`bin/understudy config\` lists them.
Data is kept in .understudy/. While it runs, \`bin/understudy status\` and all other commands find it by themselves.`,
    );
  const own = new Set(command.options.map((option) => option.long));
  for (const { section, key, definition } of allKeys()) {
    const flag = `--${flagName(section, key)}`;
    if (!own.has(flag)) command.addOption(new Option(`${flag} <value>`, definition.doc).hideHelp());
  }
  return command.addOption(new Option('--config <file>', 'YAML file with the configuration').hideHelp());
}

/**
 * Takes the command line apart. Ends the process for `--help` and for flags that make no sense.
 * @throws ConfigError for wrong values, DevFailure for flags that contradict each other.
 */
export function parseOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): DevOptions {
  const given = program()
    .parse([...argv], { from: 'user' })
    .opts<Record<string, unknown>>();
  for (const [short, long] of Object.entries(SHORT)) {
    if (given[short] !== undefined) given[camel(long)] = given[short];
  }
  const flags: string[] = [];
  const text = (name: string): string | null => {
    const value = given[camel(name)];
    return typeof value === 'string' ? value : null;
  };
  const take = (name: string): void => {
    const value = text(name);
    if (value !== null) flags.push(`--${name}`, value);
  };
  take('config');
  for (const { section, key } of allKeys()) take(flagName(section, key));
  // Whoever has these set for another program does not mean us.
  const { DATABASE_URL: _database, QUEUE_URL: _queue, ...ours } = env;
  const config = loadConfig({ needs: [], argv: flags, env: ours });
  const realSite = text('site-url') !== null || Boolean(ours['UNDERSTUDY_SITE_URL']);
  if (realSite && (config.site.scriptName === '' || config.site.scriptKey === '')) {
    throw new DevFailure('a real site needs --script and --key');
  }
  return {
    config,
    realSite,
    postgresPort: typeof given['postgresPort'] === 'number' ? given['postgresPort'] : null,
    databaseUrl: config.database.url === '' ? null : config.database.url,
    queueUrl: config.queue.url === config.database.url ? null : config.queue.url,
    folder: text('data') === null ? null : resolve(text('data') ?? ''),
    reset: given['reset'] === true,
    seeding: ['sandbox-scale', 'sandbox-seed', 'sandbox-schema'].filter((name) => text(name) !== null),
  };
}
