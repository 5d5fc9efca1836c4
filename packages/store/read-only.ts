import type { Queryable } from './database.ts';

/**
 * The server takes no writes: after a failover, an address that is not yet renewed leads to one that follows another, and
 * shows what that one had a moment ago. No reader can be told there of a write, so that none may answer from it.
 */
export class ReadOnlyServer extends Error {
  override readonly name = 'ReadOnlyServer';

  constructor() {
    super('PostgreSQL takes no writes here: it is a standby, or read-only');
  }
}

/** @throws ReadOnlyServer */
export async function refuseReadOnly(q: Queryable): Promise<void> {
  const { rows } = await q.query<{ on: boolean }>({
    name: 'is-read-only',
    text: `select current_setting('transaction_read_only')::boolean as on`,
  });
  if (rows[0]?.on !== false) throw new ReadOnlyServer();
}
