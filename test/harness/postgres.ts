import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KeptServer, startKeptServer } from '@understudy/dev/postgres/kept-server';
import pg from 'pg';
import { freePort } from './free-port.ts';

/** A PostgreSQL server for tests: the one of the whole run (TEST_DATABASE_URL), or an own embedded one. */
export interface TestServer {
  /** Address of its maintenance database. */
  readonly url: string;
  /** Stops it at once and starts it again on the same data and port. */
  restart(): Promise<void>;
  /** Stops it at once, as a crash does, until `resume`. */
  halt(): Promise<void>;
  /** Starts it again on the same data and port. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts an embedded PostgreSQL in a temporary folder, tuned for throw-away data. It ends with this process. */
export async function startThrowAwayServer(): Promise<KeptServer> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-test-'));
  const options = { folder, user: 'understudy', password: 'understudy', throwAway: true };
  return startKeptServer({ ...options, port: await freePort() });
}

/** The same, as tests use it. */
export async function startTestServer(): Promise<TestServer> {
  const server = await startThrowAwayServer();
  return {
    url: server.url,
    restart: () => server.restart(),
    halt: () => server.halt('immediate'),
    resume: () => server.resume(),
    stop: () => server.stop(),
  };
}

let ownServer: Promise<TestServer> | undefined;
/** Databases on it. */
let databases = 0;

/**
 * Makes an empty database with a random name.
 * @returns its address and a function that drops it (and, with the last one, stops the server if this process started one).
 */
export async function createTestDatabase(): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const shared = process.env.TEST_DATABASE_URL;
  if (shared === undefined) ownServer ??= startTestServer();
  const serverUrl = shared ?? (await ownServer!).url;
  const name = `test_${randomBytes(6).toString('hex')}`;
  const run = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: serverUrl });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  databases += 1;
  await run(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.toString(),
    drop: async () => {
      await run(`drop database if exists ${name} with (force)`);
      databases -= 1;
      if (shared === undefined && ownServer !== undefined && databases === 0) {
        const server = await ownServer;
        ownServer = undefined;
        await server.stop();
      }
    },
  };
}
