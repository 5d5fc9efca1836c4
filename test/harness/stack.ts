import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProductProcess, ROOT } from './child-process.ts';
import { freePort } from './free-port.ts';
import { startTestServer } from './postgres.ts';
import { program } from './programs.ts';
import { until } from './until.ts';

export type QueueKind = 'postgres' | 'redis';
export type ServiceName =
  | 'sandbox-site'
  | 'event-poller'
  | 'applier'
  | 'scanner'
  | 'retirement-reprocessor'
  | 'api-reader';
export const SERVICES: readonly ServiceName[] = [
  'sandbox-site',
  'event-poller',
  'applier',
  'scanner',
  'retirement-reprocessor',
  'api-reader',
];

/** How long a whole stack may take to serve its first full scan, on two busy cores. */
const READY_TIMEOUT_MS = 240_000;

export interface Fault {
  readonly code: number;
  readonly message: string;
}

/** Every service as a process of its own, over its own PostgreSQL server and sandbox site. */
export interface Stack {
  readonly siteUrl: string;
  readonly readerUrl: string;
  readonly databaseUrl: string;
  process(name: ServiceName): ProductProcess;
  /** One more instance of a service, not started yet; ended with the others. */
  another(name: ServiceName): ProductProcess;
  restartPostgres(): Promise<void>;
  /** Has PostgreSQL crash, and stay away until `resumePostgres`. */
  haltPostgres(): Promise<void>;
  resumePostgres(): Promise<void>;
  /** The Redis server, which keeps nothing when it ends; null if jobs are queued in PostgreSQL. */
  readonly redis: ProductProcess | null;
  /** What a service tells Prometheus. */
  metrics(name: Exclude<ServiceName, 'sandbox-site'>): Promise<string>;
  /** Forgets every job: FLUSHALL of Redis, or the queue's tables emptied. */
  wipeQueue(): Promise<void>;
  /** Calls the JSON API at `url` as the pipeline's script. @throws the fault's message. */
  call(url: string, method: string, payload: unknown): Promise<unknown>;
  /** Runs the understudy command. */
  understudy(...args: string[]): Promise<{ readonly code: number; readonly stdout: string }>;
  sandbox(path: string, body?: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

async function startRedis(): Promise<{
  url: string;
  server: ProductProcess;
  flush(): Promise<void>;
  stop(): Promise<void>;
}> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'understudy-redis-'));
  const server = new ProductProcess(
    'redis',
    ['redis-server', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder],
    process.env,
  );
  server.start();
  const { Redis } = await import('ioredis');
  const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null });
  client.on('error', () => {
    // Refused until the server listens; ioredis tries again by itself.
  });
  await client.ping();
  return {
    url: `redis://127.0.0.1:${port}`,
    server,
    flush: async () => {
      await client.flushall();
    },
    stop: async () => {
      client.disconnect();
      await server.end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Starts everything and waits until the first full scan is served.
 * @param env further environment of every process, for instance the sandbox's traffic.
 */
export async function startStack(options: {
  readonly queue: QueueKind;
  readonly env?: Readonly<Record<string, string>>;
}): Promise<Stack> {
  const postgres = await startTestServer();
  const redis = options.queue === 'redis' ? await startRedis() : undefined;
  const sitePort = await freePort();
  const readerPort = await freePort();
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    DATABASE_URL: postgres.url,
    QUEUE_URL: redis?.url ?? postgres.url,
    UNDERSTUDY_SITE_URL: `http://127.0.0.1:${sitePort}`,
    UNDERSTUDY_SITE_SCRIPT_NAME: 'understudy',
    UNDERSTUDY_SITE_SCRIPT_KEY: 'sandbox-key',
    UNDERSTUDY_SANDBOX_PORT: String(sitePort),
    UNDERSTUDY_READER_PORT: String(readerPort),
    UNDERSTUDY_POLLER_INTERVAL_MS: '300',
    UNDERSTUDY_LOG_LEVEL: 'info',
    ...options.env,
  };
  const processes = new Map<ServiceName, ProductProcess>();
  const healthPorts = new Map<ServiceName, number>();
  for (const name of SERVICES) {
    const port = await freePort();
    healthPorts.set(name, port);
    const command = program(`services/${name}`);
    processes.set(name, new ProductProcess(name, command, { ...env, UNDERSTUDY_HEALTH_PORT: String(port) }));
  }
  const siteUrl = `http://127.0.0.1:${sitePort}`;
  const readerUrl = `http://127.0.0.1:${readerPort}`;
  const processOf = (name: ServiceName): ProductProcess => {
    const found = processes.get(name);
    if (found === undefined) throw new Error(`no service ${name}`);
    return found;
  };
  const others: ProductProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all([...others, ...processes.values()].reverse().map((child) => child.end('SIGKILL')));
    await redis?.stop();
    await postgres.stop();
  };
  const stack: Stack = {
    siteUrl,
    readerUrl,
    databaseUrl: postgres.url,
    process: processOf,
    another: (name) => {
      const other = new ProductProcess(name, program(`services/${name}`), env);
      others.push(other);
      return other;
    },
    restartPostgres: () => postgres.restart(),
    haltPostgres: () => postgres.halt(),
    resumePostgres: () => postgres.resume(),
    redis: redis?.server ?? null,
    metrics: async (name) => {
      const url = name === 'api-reader' ? readerUrl : `http://127.0.0.1:${healthPorts.get(name)}`;
      return (await fetch(`${url}/metrics`)).text();
    },
    wipeQueue: async () => {
      if (redis !== undefined) return redis.flush();
      const { default: pg } = await import('pg');
      const client = new pg.Client({ connectionString: postgres.url });
      await client.connect();
      const { rows } = await client.query<{ name: string }>(
        `select format('%I.%I', schemaname, tablename) as name from pg_tables
         where schemaname = 'queue' and tablename not like '%migration%'`,
      );
      const tables = rows.map((row) => row.name).join(', ');
      // Workers lock the same tables in another order; PostgreSQL then ends one of the two, which may be this one.
      if (rows.length > 0)
        await until('the queue is wiped', () => client.query(`truncate ${tables} cascade`));
      await client.end();
    },
    call: async (url, method, payload) => {
      const reply = await fetch(`${url}/api3/json`, {
        method: 'POST',
        headers: { 'content-type': 'application/json; charset=utf-8' },
        body: JSON.stringify({
          method_name: method,
          params: [{ script_name: 'pipeline', script_key: 'pipeline-key' }, payload],
        }),
      });
      const body = (await reply.json()) as { exception?: boolean; message?: string; results?: unknown };
      if (body.exception === true) throw new Error(body.message ?? 'Unknown Error');
      if (!reply.ok) throw new Error(`HTTP ${reply.status}: ${JSON.stringify(body)}`);
      return body.results;
    },
    understudy: async (...args) => {
      const [file, ...words] = program('packages/cli');
      const child = spawn(file, [...words, ...args], { cwd: ROOT, env });
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      const code = await new Promise<number>((resolve) => child.on('close', (ended) => resolve(ended ?? -1)));
      return { code, stdout };
    },
    sandbox: async (path, body) => {
      const reply = await fetch(`${siteUrl}/_sandbox${path}`, {
        ...(body === undefined
          ? {}
          : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      if (!reply.ok) throw new Error(`sandbox ${path}: HTTP ${reply.status} ${await reply.text()}`);
      return reply.json();
    },
    stop,
  };
  try {
    processOf('sandbox-site').start();
    await until('the sandbox site answers', async () => (await fetch(`${siteUrl}/_sandbox`)).ok, {
      timeoutMs: 60_000,
    });
    for (const name of SERVICES) if (name !== 'sandbox-site') processOf(name).start();
    await until(
      'the reader serves the first full scan',
      async () => (await fetch(`${readerUrl}/readyz`)).ok,
      {
        timeoutMs: READY_TIMEOUT_MS,
      },
    );
    return stack;
  } catch (error) {
    for (const child of processes.values()) console.error(`--- ${child.name}\n${child.output}`);
    await stop();
    throw error;
  }
}
