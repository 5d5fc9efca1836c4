import type { Socket } from 'node:net';
import pg from 'pg';

/** How long PostgreSQL may take to end a connection that is closed. */
const END_MS = 2_000;

/**
 * A connection whose end can never end the process, nor hold it up. pg tells a broken connection by the event `error`, which
 * throws where nobody listens; whoever awaits a connection begins to listen a moment after it was made, and in that moment
 * PostgreSQL may end it. An error that nobody hears is not lost: the next query on the connection fails with it. And pg
 * waits for PostgreSQL to end a connection that is closed, which never comes where the network has lost it.
 */
export class GuardedClient extends pg.Client {
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'error' && this.listenerCount('error') === 0) return false;
    return super.emit(event as 'error', ...(args as [Error]));
  }

  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | void {
    const { stream } = (this as unknown as { readonly connection: { readonly stream: Socket } }).connection;
    const timer = setTimeout(() => stream.destroy(), END_MS).unref();
    stream.once('close', () => clearTimeout(timer));
    return callback === undefined ? super.end() : super.end(callback);
  }
}
