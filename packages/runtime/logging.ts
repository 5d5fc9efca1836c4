import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from './config/sections.ts';
import { collectLines, type Sink } from './log-lines.ts';

export type { Logger } from 'pino';

/** Names whose values never reach a log, wherever a caller may put them. */
const SECRET_PATHS = [
  'script_key',
  'scriptKey',
  'user_password',
  'userPassword',
  'session_token',
  'sessionToken',
];

/** How long a line of a buffered log may wait. */
const FLUSH_MS = 200;
const BUFFER_BYTES = 65_536;
const STDOUT = 1;

/**
 * The process's log: JSON lines on stdout, or lines for people in a terminal.
 * @param service its name, on every line.
 * @param options buffered: lines are written together, at the latest after 200 ms and at exit; for a service that
 *   writes thousands of them a second. Killed outright, it loses that much of its log.
 */
export function createLogger(
  config: Config['log'],
  service: string,
  { buffered = false }: { readonly buffered?: boolean } = {},
): Logger {
  const options = {
    level: config.level,
    base: { service },
    redact: { paths: [...SECRET_PATHS, ...SECRET_PATHS.map((path) => `*.${path}`)], censor: '***' },
  };
  if (config.pretty || process.stdout.isTTY === true) {
    return pino(
      options,
      pretty({
        colorize: process.stdout.isTTY === true,
        ignore: 'pid,hostname',
        singleLine: true,
        sync: true,
      }),
    );
  }
  if (!buffered) return pino(options, pino.destination({ sync: true }));
  // pino's types know of text alone.
  const sink = pino.destination({ fd: STDOUT, sync: false, contentMode: 'buffer' }) as unknown as Sink;
  return pino(options, collectLines(sink, { fd: STDOUT, bytesMax: BUFFER_BYTES, flushMs: FLUSH_MS }));
}
