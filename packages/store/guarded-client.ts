import pg from 'pg';

/**
 * A connection whose end can never end the process. pg tells a broken connection by the event `error`, which throws where
 * nobody listens; whoever awaits a connection begins to listen a moment after it was made, and in that moment PostgreSQL
 * may end it. An error that nobody hears is not lost: the next query on the connection fails with it.
 */
export class GuardedClient extends pg.Client {
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'error' && this.listenerCount('error') === 0) return false;
    return super.emit(event as 'error', ...(args as [Error]));
  }
}
