import type pg from 'pg';
import type { Database } from './database.ts';

/** What is followed has changed since the schema in hand was read: it must be read again and the work repeated. */
export class SchemaMoved extends Error {
  override readonly name = 'SchemaMoved';
}

/** Any number that nobody else uses for an advisory lock in this database. */
const EPOCH_LOCK = 4_930_118;
/** Who changes the schema waits for the merges under way; those that come after wait behind it no longer than this. */
const LOCK_TIMEOUT_MS = 3_000;
const LOCK_ATTEMPTS = 40;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Keeps what is followed as it is until the transaction ends, and tells its epoch. The lock and the look are two, so that
 * the second one sees what was committed while the first one waited. Plans that do not look at the very ids, and read no
 * table from its beginning, find rows by their keys, whatever the statistics say of a table that grows just now; else a
 * merge of some hundred rows may read all of it. Reading a small table that has no fitting index then seems so dear that
 * PostgreSQL would compile the statement.
 */
const HOLD_EPOCH = `set local plan_cache_mode = force_generic_plan; set local enable_seqscan = off; set local jit = off;
  select pg_advisory_xact_lock_shared(${EPOCH_LOCK}); select epoch from understudy.schema_state`;

/**
 * The database as somebody sees it who knows what is followed at `epoch`: each transaction holds it, and throws
 * SchemaMoved when it is no longer what it was.
 */
export function atEpoch(db: Database, epoch: number): Database {
  return {
    ...db,
    transaction: (work) =>
      db.transaction((tx, opened) => {
        const now = (opened.rows[0] as { readonly epoch: string } | undefined)?.epoch;
        if (now === undefined || Number(now) !== epoch)
          throw new SchemaMoved(`the schema of epoch ${epoch} is followed no longer`);
        return work(tx, opened);
      }, HOLD_EPOCH),
  };
}

/** Runs `work` in a transaction in which nobody merges anything and nobody else changes what is followed. */
export async function whileNobodyMerges<T>(
  db: Database,
  work: (tx: pg.PoolClient) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction(async (tx) => {
        await tx.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
        await tx.query('select pg_advisory_xact_lock($1)', [EPOCH_LOCK]);
        return work(tx);
      });
    } catch (error) {
      if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE || attempt >= LOCK_ATTEMPTS) throw error;
    }
  }
}
