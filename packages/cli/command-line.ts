import { openQueueBackend, type QueueBackend } from '@understudy/pipeline/queue-backend';
import { allKeys, flagName, loadConfig, type Need } from '@understudy/runtime/config/load';
import type { Config } from '@understudy/runtime/config/sections';
import { holderName, VERSION } from '@understudy/runtime/heartbeat';
import { createSiteClient, type SiteClient } from '@understudy/site-client/site-client';
import { type SharedBudget, sharedBudget } from '@understudy/store/budget/shared-budget';
import { type Database, type DatabaseOptions, isUnprepared, openDatabase } from '@understudy/store/database';
import type { Command } from 'commander';
import { CommandFailure, EXIT_STOPPED, EXIT_UNAVAILABLE } from './failure.ts';

/** What a subcommand works with: each part is opened at its first use and closed by `run`. */
export interface CommandParts {
  readonly config: Config;
  readonly databaseOptions: DatabaseOptions;
  database(): Promise<Database>;
  queues(): QueueBackend;
  site(): SiteClient;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether JSON for scripts is wanted. */
  readonly json: boolean;
}

export interface CommandLine {
  /**
   * Does a subcommand's work and closes what it opened.
   * @param needs what must be configured.
   * @throws ConfigError, whatever the work throws, and CommandFailure instead of that once it is to stop.
   */
  run(needs: readonly Need[], work: (parts: CommandParts) => Promise<void>): Promise<void>;
}

const APPLICATION = 'understudy';
/** A command works alone: few connections suffice. */
const POOL_SIZE_MAX = 4;

/** The configuration's flags as they were given before or after the subcommand. */
function configFlags(options: Readonly<Record<string, unknown>>): readonly string[] {
  const argv: string[] = [];
  const take = (flag: string): void => {
    const name = flag.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    if (typeof options[name] === 'string') argv.push(`--${flag}`, options[name]);
  };
  take('config');
  for (const { section, key } of allKeys()) take(flagName(section, key));
  return argv;
}

/** @param program whose options hold the configuration's flags. */
export function commandLine(program: Command): CommandLine {
  return {
    run: async (needs, work) => {
      const options = program.opts();
      const config = loadConfig({ needs, argv: configFlags(options) });
      const stopping = new AbortController();
      const stop = (): void => stopping.abort(new Error('stopped'));
      process.once('SIGINT', stop);
      process.once('SIGTERM', stop);
      const databaseOptions = {
        url: config.database.url,
        poolSize: Math.min(config.database.poolSize, POOL_SIZE_MAX),
        applicationName: APPLICATION,
        logsUpdates: config.history.enabled,
      };
      let database: Promise<Database> | undefined;
      let queues: QueueBackend | undefined;
      let site: SiteClient | undefined;
      let budget: SharedBudget | undefined;
      const parts: CommandParts = {
        config,
        databaseOptions,
        database: () => {
          database ??= openDatabase(databaseOptions);
          return database;
        },
        queues: () => {
          queues ??= openQueueBackend(config.queue.url);
          return queues;
        },
        site: () => {
          budget ??= sharedBudget({
            databaseUrl: config.database.url,
            holder: `${APPLICATION} ${holderName()}`,
            concurrency: config.site.concurrency,
            ratePerSecond: config.site.ratePerSecond,
            spare: 0,
          });
          site ??= createSiteClient({
            url: config.site.url,
            credentials: { scriptName: config.site.scriptName, scriptKey: config.site.scriptKey },
            budget,
            timeoutMs: config.site.timeoutMs,
            userAgent: `understudy/${VERSION}`,
          });
          return site;
        },
        signal: stopping.signal,
        json: options['json'] === true,
      };
      try {
        await work(parts);
      } catch (error) {
        // Whatever was waited for says so in words of its own.
        if (stopping.signal.aborted) throw new CommandFailure('stopped', EXIT_STOPPED);
        if (isUnprepared(error))
          throw new CommandFailure('no service has prepared a replica here yet', EXIT_UNAVAILABLE);
        throw error;
      } finally {
        await queues?.close();
        await site?.close();
        await budget?.close();
        await (await database)?.close();
        process.off('SIGINT', stop);
        process.off('SIGTERM', stop);
      }
    },
  };
}
