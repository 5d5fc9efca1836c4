import type { Socket } from 'node:net';
import pg from 'pg';
import { GuardedClient } from './guarded-client.ts';

/** What pg's types leave out. */
interface Inside {
  readonly readyForQuery: boolean;
  readonly processID: number | null;
  readonly connection: { readonly stream: Socket };
}

export interface SilenceOptions {
  /** A query that is heard nothing of for so long is asked after. */
  readonly silentMs: number;
  readonly everyMs: number;
}

/** Long enough for what is slow on a busy day not to be asked after all the time. */
export const SILENCE: SilenceOptions = { silentMs: 30_000, everyMs: 5_000 };

/** How long the question from elsewhere may take. */
const ASK_TIMEOUT_MS = 10_000;
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** A connection whose query is not answered yet. */
interface Silence {
  readonly bytesRead: number;
  readonly since: number;
}

/** Connections that are broken once nothing comes over them any more. */
export interface SilenceWatch {
  add(client: pg.ClientBase): void;
  remove(client: pg.ClientBase): void;
  end(): void;
}

/**
 * Breaks connections over which nothing comes any more, so that whoever waits hears of it. A network that loses packets
 * without a word, or a server that vanished with its machine, else holds a query up for the quarter of an hour that the
 * kernel goes on trying, and with it whatever the process does one step after the other. A statement may be silent for long
 * because it works: PostgreSQL is asked over a new connection whether it does.
 * @param url address of the database, to ask it from elsewhere.
 */
export function watchSilence(url: string, options: SilenceOptions = SILENCE): SilenceWatch {
  const silences = new Map<pg.ClientBase, Silence | null>();
  const asking = new Set<pg.ClientBase>();

  const look = async (client: pg.ClientBase, before: Silence | null): Promise<void> => {
    const { readyForQuery, processID, connection } = client as unknown as Inside;
    const { bytesRead } = connection.stream;
    if (readyForQuery || before?.bytesRead !== bytesRead) {
      silences.set(client, readyForQuery ? null : { bytesRead, since: performance.now() });
      return;
    }
    if (performance.now() - before.since < options.silentMs || asking.has(client)) return;
    asking.add(client);
    const isLost = await hasLost(url, processID).finally(() => asking.delete(client));
    if (!isLost || readyForQueryOf(client) || connection.stream.bytesRead !== bytesRead) return;
    silences.delete(client);
    connection.stream.destroy(new Error('the connection to PostgreSQL went silent'));
  };

  const timer = setInterval(() => {
    for (const [client, before] of silences) void look(client, before);
  }, options.everyMs);
  timer.unref();
  return {
    add: (client) => void silences.set(client, null),
    remove: (client) => void silences.delete(client),
    end: () => clearInterval(timer),
  };
}

/**
 * Watches the connections of a pool (`watchSilence`).
 * @returns a function that ends the watch.
 */
export function breakSilentConnections(pool: pg.Pool, url: string, options?: SilenceOptions): () => void {
  const watch = watchSilence(url, options);
  pool.on('connect', watch.add);
  pool.on('remove', watch.remove);
  return () => {
    watch.end();
    pool.off('connect', watch.add);
    pool.off('remove', watch.remove);
  };
}

const readyForQueryOf = (client: pg.ClientBase): boolean => (client as unknown as Inside).readyForQuery;

/** Whether PostgreSQL knows nothing of a query that a connection waits for, or is away. Never throws. */
async function hasLost(url: string, processId: number | null): Promise<boolean> {
  const client = new GuardedClient({
    connectionString: url,
    connectionTimeoutMillis: ASK_TIMEOUT_MS,
    query_timeout: ASK_TIMEOUT_MS,
    application_name: 'understudy silence',
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ self: number; works: boolean }>(
      `select pg_backend_pid() as self,
         exists (select from pg_stat_activity where pid = $1 and state not like 'idle%') as works`,
      [processId],
    );
    // Through a pooler the numbers of processes are its own: nothing can be told.
    return rows[0]?.self === (client as unknown as Inside).processID && rows[0]?.works === false;
  } catch (error) {
    // A refusal in PostgreSQL's words, of too many connections for instance, says nothing of the other connection.
    const { code } = error as { readonly code?: unknown };
    return !(error instanceof pg.DatabaseError || (typeof code === 'string' && SQLSTATE.test(code)));
  } finally {
    client.end().catch(() => {
      // It was never open, or is broken.
    });
  }
}
