import { ConfigError } from '@understudy/runtime/config/load';
import { SiteUnavailable } from '@understudy/site-client/faults';

/** What a subcommand ends with when the answer is "no": differences were found, something is not well. */
export const EXIT_NO = 1;
/** The command could not do its work. */
export const EXIT_FAILED = 70;
/** Something that it needs is away (sysexits' EX_UNAVAILABLE). */
export const EXIT_UNAVAILABLE = 69;
/** It was asked for something that makes no sense (sysexits' EX_USAGE). */
export const EXIT_USAGE = 64;
/** Ctrl-C or SIGTERM ended it before it was done. */
export const EXIT_STOPPED = 130;
/** The configuration cannot be used (sysexits' EX_CONFIG). */
export const EXIT_CONFIG = 78;

/** Ends a subcommand with a message for people and an exit code. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Of a connection that could not be made or broke, and SQLSTATE classes of a server that is not there for us. */
const AWAY_CODES = /^(ECONN|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH|EPIPE|08|57P)/;

export function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof CommandFailure) return error.exitCode;
  if (error instanceof ConfigError) return EXIT_CONFIG;
  if (error instanceof SiteUnavailable) return EXIT_UNAVAILABLE;
  if (AWAY_CODES.test((error as { code?: string } | null)?.code ?? '')) return EXIT_UNAVAILABLE;
  return undefined;
}

/** Says on stderr what went wrong, in one line a problem; a stack only helps for what nobody foresaw. */
export function tellFailure(error: unknown): void {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) process.stderr.write(`understudy: ${problem}\n`);
    return;
  }
  if (error instanceof Error) {
    const inner = error instanceof AggregateError ? error.errors.map(String).join('; ') : '';
    process.stderr.write(`understudy: ${error.message || inner || error.name}\n`);
    return;
  }
  process.stderr.write(`understudy: ${String(error)}\n`);
}
