import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Order, parseReport } from './orders.ts';
import type { ServerOptions, StopMode } from './server.ts';

/** A PostgreSQL server in the hands of a keeper: it ends with this process, however this process ends. */
export interface KeptServer {
  /** Address of its maintenance database. */
  readonly url: string;
  /** Resolves with what PostgreSQL said when it ended without being told to, and could not be started again. */
  readonly ended: Promise<string>;
  /** Puts a process, with all that it starts, under guard: it is ended when this process is gone. */
  guard(pid: number): void;
  restart(): Promise<void>;
  /** Stops it, until `resume`. */
  halt(mode: StopMode): Promise<void>;
  /** Starts it again on the same data and port. */
  resume(): Promise<void>;
  stop(mode?: StopMode): Promise<void>;
}

const KEEPER = fileURLToPath(new URL('keeper.ts', import.meta.url));

/**
 * @param onRevived to be told what PostgreSQL said when it ended without being told to; it runs again by then.
 * @throws Error with what PostgreSQL said when it cannot be started.
 */
export async function startKeptServer(
  options: ServerOptions,
  onRevived: (said: string) => void = () => {},
): Promise<KeptServer> {
  const child = spawn(process.execPath, [KEEPER], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  child.stdin.on('error', () => {
    // It ended; `closed` says so.
  });
  child.stdin.write(`${JSON.stringify(options)}\n`);
  const ended = Promise.withResolvers<string>();
  let starting = Promise.withResolvers<string>();
  let halted = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const report = parseReport(line);
    if (report.kind === 'ready') starting.resolve(report.url);
    else if (report.kind === 'halted') halted.resolve();
    else if (report.kind === 'failed') starting.reject(new Error(report.message));
    else if (report.kind === 'revived') onRevived(report.message);
    else ended.resolve(report.message);
  });
  void closed.then(() => {
    starting.reject(new Error('the keeper of PostgreSQL ended'));
    ended.resolve('the keeper of PostgreSQL ended');
  });
  starting.promise.catch(() => {
    // Whoever waits for the start is told; nobody may be waiting.
  });
  const tell = (order: Order): void => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
  };
  const start = async (kind: 'restart' | 'resume'): Promise<void> => {
    starting = Promise.withResolvers<string>();
    tell({ kind });
    await starting.promise;
  };
  const url = await starting.promise;
  return {
    url,
    ended: ended.promise,
    guard: (pid) => tell({ kind: 'guard', pid }),
    restart: () => start('restart'),
    halt: async (mode) => {
      halted = Promise.withResolvers<void>();
      tell({ kind: 'halt', mode });
      await Promise.race([halted.promise, closed]);
    },
    resume: () => start('resume'),
    stop: async (mode = 'fast') => {
      if (mode === 'immediate') tell({ kind: 'immediate' });
      child.stdin.end();
      await closed;
    },
  };
}
