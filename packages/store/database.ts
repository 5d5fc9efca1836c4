import { MikroORM } from '@mikro-orm/postgresql';
import pRetry from 'p-retry';
import pg from 'pg';
import { GuardedClient } from './guarded-client.ts';
import { breakSilentConnections } from './silent-connections.ts';

/** Whatever runs SQL: the pool, or one connection within a transaction. */
export type Queryable = Pick<pg.Pool | pg.PoolClient, 'query'>;

export interface Database {
  readonly orm: MikroORM;
  readonly pool: pg.Pool;
  /**
   * Runs `work` in a transaction, again when PostgreSQL ends it for a deadlock or a serialization failure.
   * @param opening SQL that is sent with its begin, in one round trip; `work` is told what the last of it answered.
   */
  transaction<T>(
    work: (tx: pg.PoolClient, opened: pg.QueryResult) => Promise<T>,
    opening?: string,
  ): Promise<T>;
  /** Runs `work`, which only reads, on one state of the database, whatever others commit meanwhile. */
  snapshot<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T>;
  /** Whether merges log what they change. */
  readonly logsUpdates: boolean;
  /** PostgreSQL ends a transaction, or a lock, of which it hears nothing for so long (ms). */
  readonly abandonedMs: number;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly poolSize: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** Whether merges log what they change; they do unless told. */
  readonly logsUpdates?: boolean;
  /** As `Database` has it; a minute unless told. */
  readonly abandonedMs?: number;
}

/** SQLSTATE of a missing table and of a missing schema. */
const UNPREPARED: ReadonlySet<string> = new Set(['42P01', '3F000']);

/** Whether SQL failed because no process has made the tables yet. */
export function isUnprepared(error: unknown): boolean {
  return UNPREPARED.has((error as { readonly code?: string }).code ?? '');
}

const RETRYABLE: ReadonlySet<string> = new Set(['40P01', '40001']);
const TRANSACTION_RETRIES = 5;
const CONNECT_TIMEOUT_MS = 5_000;
/**
 * A machine that vanishes says no farewell: PostgreSQL would keep what it had locked for as long as its kernel believes in the
 * connection, hours as a rule. Nothing here pauses in a transaction, but a process may stand still.
 */
const ABANDONED_MS = 60_000;

/** How MikroORM is told where the database is; shared with the instance that compares tables. */
export function ormOptions(options: DatabaseOptions): object {
  return {
    clientUrl: options.url,
    pool: { min: 0, max: options.poolSize },
    driverOptions: {
      application_name: options.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    },
    discovery: { warnWhenNoEntities: false },
    // Else the first use of the pool asks whether the database exists, and fails while PostgreSQL is away.
    ensureDatabase: false,
  };
}

/**
 * Opens the database through MikroORM. Connections are made when they are needed: PostgreSQL may be away now, and may go
 * away later without ending the process.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { CONTROL_MIGRATIONS } = await import('./migrations/all.ts');
  const orm = new MikroORM({
    ...ormOptions(options),
    entities: [],
    extensions: [(await import('@mikro-orm/migrations')).Migrator],
    migrations: {
      migrationsList: CONTROL_MIGRATIONS,
      schema: 'understudy',
      snapshot: false,
      silent: true,
      transactional: true,
    },
  } as never) as MikroORM;
  const pool = (await orm.em.getConnection().getNativeClient()) as unknown as pg.Pool;
  // MikroORM leaves times as text; our SQL is read as pg reads it. Connections are made later, with this in place.
  const unopened = pool as unknown as { options: { types: unknown; pipeline: boolean }; Client: unknown };
  unopened.options.types = new pg.TypeOverrides();
  unopened.Client = GuardedClient;
  // Statements that were not waited for go out at once, one after the other.
  unopened.options.pipeline = true;
  pool.on('error', () => {
    // An idle connection broke: the pool has dropped it already, and the next query says so if PostgreSQL is away.
  });
  const endWatch = breakSilentConnections(pool, options.url);
  const abandonedMs = options.abandonedMs ?? ABANDONED_MS;
  const ends = `set local idle_in_transaction_session_timeout = ${abandonedMs}`;
  const once = async <T>(
    begin: string,
    work: (tx: pg.PoolClient, opened: pg.QueryResult) => Promise<T>,
  ): Promise<T> => {
    const client = await pool.connect();
    let broken = false;
    const onError = (): void => {
      broken = true;
    };
    client.on('error', onError);
    try {
      // Of several statements in one text pg gives all answers.
      const answers: unknown = await client.query(begin);
      const opened: pg.QueryResult = Array.isArray(answers) ? answers.at(-1) : answers;
      const result = await work(client, opened);
      await client.query('commit');
      return result;
    } catch (error) {
      if (!broken) {
        await client.query('rollback').catch(() => {
          broken = true;
        });
      }
      throw error;
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  };
  return {
    orm,
    pool,
    logsUpdates: options.logsUpdates ?? true,
    transaction: (work, opening) =>
      pRetry(() => once(`begin; ${ends}${opening === undefined ? '' : `; ${opening}`}`, work), {
        retries: TRANSACTION_RETRIES,
        minTimeout: 20,
        maxTimeout: 500,
        randomize: true,
        shouldRetry: ({ error }) => RETRYABLE.has((error as { code?: string }).code ?? ''),
      }),
    abandonedMs,
    snapshot: (work) => once(`begin isolation level repeatable read, read only; ${ends}`, work),
    close: async () => {
      endWatch();
      await orm.close(true);
      // MikroORM ends only a pool that it has asked something itself; another keeps the process alive until its connections
      // have been idle for long enough.
      if (!pool.ended) await pool.end();
    },
  };
}
