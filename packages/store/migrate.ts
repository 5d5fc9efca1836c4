import type { Database } from './database.ts';

/** Any number that nobody else uses for an advisory lock in this database. */
const MIGRATE_LOCK = 4_930_117;

/** Runs `work` while no other process does: tables are made by one at a time. */
export async function underMigrationLock<T>(db: Database, work: () => Promise<T>): Promise<T> {
  const client = await db.pool.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATE_LOCK]);
    return await work();
  } finally {
    // Closing the connection gives the lock back, also when it is broken.
    client.release(true);
  }
}

/** Brings the control tables up to date. Safe to call from every process at start. */
export async function migrate(db: Database): Promise<void> {
  await underMigrationLock(db, async () => {
    await db.pool.query('create schema if not exists understudy');
    await db.orm.migrator.up();
  });
}
