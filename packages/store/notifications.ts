import { GuardedClient } from './guarded-client.ts';

/** A connection that waits for what is announced on a channel. */
export interface Listener {
  /** Resolves when the connection is gone. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

/** For each of connecting and beginning to listen. */
const TIMEOUT_MS = 5_000;

/** Listens on a channel over a connection of its own. @throws while PostgreSQL is away. */
export async function listen(options: {
  readonly url: string;
  readonly applicationName: string;
  readonly channel: string;
  readonly onNotice: () => void;
}): Promise<Listener> {
  const client = new GuardedClient({
    connectionString: options.url,
    application_name: options.applicationName,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
    keepAlive: true,
  });
  const ended = new Promise<void>((resolve) => {
    client.on('error', () => resolve());
    client.on('end', () => resolve());
  });
  client.on('notification', options.onNotice);
  await client.connect();
  try {
    await client.query(`listen ${client.escapeIdentifier(options.channel)}`);
  } catch (error) {
    void client.end();
    throw error;
  }
  return { ended, close: () => client.end() };
}
