import { startTestServer } from '@understudy/harness/postgres';
import pg from 'pg';

/** A PostgreSQL server of the measurement's own, tuned for throw-away data, with databases of given names. */
export interface Databases {
  /** Makes an empty database. @returns its address. */
  create(name: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startDatabases(): Promise<Databases> {
  const server = await startTestServer();
  return {
    create: async (name) => {
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      try {
        await client.query(`create database ${name}`);
      } finally {
        await client.end();
      }
      const url = new URL(server.url);
      url.pathname = `/${name}`;
      return url.toString();
    },
    stop: () => server.stop(),
  };
}
