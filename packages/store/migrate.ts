import { setTimeout as delay } from 'node:timers/promises';
import type { Database, Queryable } from './database.ts';

/** Any number that nobody else uses for an advisory lock in this database. */
const MIGRATE_LOCK = 4_930_117;
const LOCK_LOOK_MS = 50;

/** Runs `work` while no other process does: tables are made by one at a time. */
export async function underMigrationLock<T>(db: Database, work: () => Promise<T>): Promise<T> {
  const client = await db.pool.connect();
  let hold: NodeJS.Timeout | undefined;
  try {
    // The lock of a machine that vanished ends: whoever has it says all the time that it is still there.
    await client.query(`set idle_session_timeout = ${db.abandonedMs}`);
    hold = setInterval(() => {
      client.query('select').catch(() => {
        // The connection is broken: the lock is gone, and the work ends with its next statement or is done under no lock.
      });
    }, db.abandonedMs / 4);
    // Asked for again and again: a session that waits within a statement would hold up an index that is built beside
    // the traffic, which waits for every statement that is older.
    for (;;) {
      const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [
        MIGRATE_LOCK,
      ]);
      if (rows[0]?.held === true) break;
      await delay(LOCK_LOOK_MS);
    }
    return await work();
  } finally {
    clearInterval(hold);
    // Closing the connection gives the lock back, also when it is broken.
    client.release(true);
  }
}

/** The first release with all that the SQL of merges and reads uses. */
const SERVER_VERSION_MIN = 17;
/** Of `server_version_num`: 170004 is 17.4. */
const VERSION_UNIT = 10_000;

/** @throws Error for a server that is too old: SQL that it does not know would say less. */
export async function refuseOldServer(q: Queryable): Promise<void> {
  const { rows } = await q.query<{ version: string; number: string }>(
    `select current_setting('server_version') as version, current_setting('server_version_num') as number`,
  );
  const [row] = rows;
  if (row === undefined || Math.floor(Number(row.number) / VERSION_UNIT) < SERVER_VERSION_MIN)
    throw new Error(`PostgreSQL ${SERVER_VERSION_MIN} or later is needed; this one is ${row?.version}`);
}

/** Brings the control tables up to date. Safe to call from every process at start. @throws Error for an old server. */
export async function migrate(db: Database): Promise<void> {
  await refuseOldServer(db.pool);
  await underMigrationLock(db, async () => {
    await db.pool.query('create schema if not exists understudy');
    await db.orm.migrator.up();
  });
}
