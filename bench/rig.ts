import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '@understudy/harness/child-process';
import { freePort } from '@understudy/harness/free-port';
import { buildPrograms, program } from '@understudy/harness/programs';
import { until } from '@understudy/harness/until';
import { advancePolled } from '@understudy/store/watermark';
import pg from 'pg';
import { startDatabases } from './databases.ts';
import { startTalking } from './load/processes.ts';
import { fillReplica, openReplica } from './studio/fill-replica.ts';
import { plainStudioSql } from './studio/plain-studio.ts';
import { studioOf } from './studio/studio.ts';

/** How long a process may take to be ready on two busy cores. */
const READY_MS = 120_000;
/** How often the event log counts as polled while something is measured; the reader's lag stays small. */
const POLL_MS = 1_000;

/** A service as a process of its own. Its output goes to a file: reading a pipe would cost the measuring process. */
export interface Service {
  readonly url: string;
  readonly pid: number;
  /** Bytes of memory that are resident now. */
  residentBytes(): Promise<number>;
  stop(): Promise<void>;
}

async function startService(
  name: string,
  env: NodeJS.ProcessEnv,
  options: { readonly url: string; readonly readyPath: string; readonly programs?: string },
): Promise<Service> {
  const logFile = join(tmpdir(), `understudy-bench-${process.pid}-${name}.log`);
  const log = await open(logFile, 'w');
  const [command, ...words] = program(`services/${name}`, options.programs);
  const child: ChildProcess = spawn(command, words, { cwd: ROOT, env, stdio: ['ignore', log.fd, log.fd] });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    await log.close();
  };
  try {
    await until(
      `${name} is ready`,
      async () => {
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
        return (await fetch(`${options.url}${options.readyPath}`)).ok;
      },
      { timeoutMs: READY_MS },
    );
  } catch (error) {
    console.error((await readFile(logFile, 'utf8')).split('\n').slice(-20).join('\n'));
    await stop();
    throw error;
  }
  const pid = child.pid ?? 0;
  return {
    url: options.url,
    pid,
    residentBytes: async () => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1_024;
    },
    stop,
  };
}

/** A small sandbox site: it says what its schema is and whom it knows; the studio's rows are not in it. */
export async function startSite(): Promise<Service> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  return startService(
    'sandbox-site',
    { ...process.env, UNDERSTUDY_SANDBOX_PORT: String(port), UNDERSTUDY_SANDBOX_SCALE: '100' },
    { url, readyPath: '/_sandbox' },
  );
}

/** Databases of one PostgreSQL server that hold the same studio: the replica and the plain tables. */
export interface Studios {
  readonly replicaUrl: string;
  readonly plainUrl: string;
  readonly siteUrl: string;
  /** Starts a real reader over the replica: the bundled program, as it is deployed. */
  startReader(env?: Readonly<Record<string, string>>): Promise<Service>;
  /** Starts the bare server over the plain tables. */
  startBare(): Promise<{ readonly url: string; readonly pid: number; stop(): Promise<void> }>;
  stop(): Promise<void>;
}

/** As in deploy/systemd. */
const READER_OPTIONS = '--max-semi-space-size=8 --max-old-space-size=1024';

export const SCHEMA_FILE = `${ROOT}schema/default.yaml`;

/** Fills both databases with a studio `times` as large as the standard one. */
export async function openStudios(times: number): Promise<Studios> {
  const studio = studioOf(times);
  const programs = await buildPrograms();
  const site = await startSite();
  const databases = await startDatabases();
  const replicaUrl = await databases.create('replica');
  const plainUrl = await databases.create('plain');
  const plain = new pg.Client({ connectionString: plainUrl });
  await plain.connect();
  for (const sql of plainStudioSql(studio)) await plain.query(sql);
  await plain.end();
  const { replica, close } = await openReplica({
    databaseUrl: replicaUrl,
    siteUrl: site.url,
    schemaFile: SCHEMA_FILE,
  });
  await fillReplica(replica, studio);
  await advancePolled(replica.db.pool, 0, new Date());
  const polling = setInterval(() => {
    advancePolled(replica.db.pool, 0, new Date()).catch((error: unknown) => console.error(error));
  }, POLL_MS);
  return {
    replicaUrl,
    plainUrl,
    siteUrl: site.url,
    startReader: async (env = {}) => {
      const port = await freePort();
      return startService(
        'api-reader',
        {
          ...process.env,
          NODE_OPTIONS: READER_OPTIONS,
          DATABASE_URL: replicaUrl,
          UNDERSTUDY_SITE_URL: site.url,
          UNDERSTUDY_SITE_SCRIPT_NAME: 'understudy',
          UNDERSTUDY_SITE_SCRIPT_KEY: 'sandbox-key',
          UNDERSTUDY_READER_PORT: String(port),
          // The site does not hold the studio: compared with it, rows would be taken for vanished, and removed.
          UNDERSTUDY_AUDIT_SHADOW_SHARE: '0',
          ...env,
        },
        { url: `http://127.0.0.1:${port}`, readyPath: '/readyz', programs: programs.folder },
      );
    },
    startBare: async () => {
      const { first, child, stop } = await startTalking<{ readonly url: string }>('servers/bare.ts', [
        plainUrl,
        String(times),
      ]);
      return { url: first.url, pid: child.pid ?? 0, stop };
    },
    stop: async () => {
      clearInterval(polling);
      await close();
      await site.stop();
      await databases.stop();
      await programs.remove();
    },
  };
}
