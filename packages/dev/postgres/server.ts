import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { postgresAccount } from './account.ts';
import { type Binaries, reachableBinaries } from './binaries.ts';
import { ensureData, freeData } from './data-folder.ts';

export interface ServerOptions {
  /** Folder of ours that holds its data; made if it is missing. */
  readonly folder: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Fast and careless, for tests: data may be lost when the machine stops. */
  readonly throwAway: boolean;
}

/** `fast` ends sessions and closes orderly; `immediate` ends at once, the next start recovers. */
export type StopMode = 'fast' | 'immediate';

export interface PostgresServer {
  /** Address of its maintenance database. */
  readonly url: string;
  /** Resolves when it ends without having been told to. */
  readonly ended: Promise<string>;
  stop(mode: StopMode): Promise<void>;
}

/** Recovery after a hard stop may take this long. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
/** Enough for a dozen processes with their pools. */
const CONNECTIONS_MAX = 300;
const KEPT_LINES = 20;

function flagsOf(options: ServerOptions, data: string): readonly string[] {
  const settings: Readonly<Record<string, string>> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: String(CONNECTIONS_MAX),
    ...(options.throwAway
      ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
      : { shared_buffers: '256MB', max_wal_size: '2GB' }),
  };
  return [
    '-D',
    data,
    '-p',
    String(options.port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

/**
 * Starts PostgreSQL on the data in `folder`, which is made or repaired first, and waits until it answers.
 * @throws Error with what PostgreSQL said.
 */
export async function startServer(options: ServerOptions): Promise<PostgresServer> {
  const account = postgresAccount();
  const binaries: Binaries = await reachableBinaries(account);
  const data = await ensureData({ ...options, binaries, account });
  await freeData(data);
  const child = spawn(binaries.postgres, flagsOf(options, data), {
    cwd: data,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...account,
  });
  const log = createWriteStream(join(options.folder, 'postgres.log'), { flags: 'a', mode: 0o644 });
  const said = keepLines(child, log);
  let stopping = false;
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', () => {
      log.end();
      if (!stopping || child.exitCode !== 0) resolve(said());
    });
  });
  const url = `postgres://${options.user}:${options.password}@127.0.0.1:${options.port}/postgres`;
  await untilItAnswers(url, ended);
  return {
    url,
    ended,
    stop: async (mode) => {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Writes a child's output to the log. @returns what gives its last lines. */
function keepLines(child: ChildProcess, log: WriteStream): () => string {
  let lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      log.write(text);
      lines = [...lines, ...text.split('\n').filter((line) => line !== '')].slice(-KEPT_LINES);
    });
  }
  return () => lines.join('\n');
}

async function untilItAnswers(url: string, ended: Promise<string>): Promise<void> {
  let failure: string | undefined;
  void ended.then((said) => {
    failure = said;
  });
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    if (failure !== undefined) throw new Error(`PostgreSQL ended at its start: ${failure}`);
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      return;
    } catch (cause) {
      // It may still refuse connections, or recover.
      if (performance.now() > deadline) throw new Error('PostgreSQL does not answer', { cause });
    } finally {
      await client.end().catch(() => {
        // It never was connected.
      });
    }
    await delay(POLL_MS);
  }
}
