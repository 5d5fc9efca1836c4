import type { ServerOptions, StopMode } from './server.ts';

/** What the owner of a keeper tells it after its task, one JSON line each. The end of its input means: stop everything. */
export type Order =
  /** This process, and what it started, is ended when the owner is gone. */
  | { readonly kind: 'guard'; readonly pid: number }
  /** The coming stop is to be immediate. */
  | { readonly kind: 'immediate' }
  /** PostgreSQL is stopped and started again on the same data. */
  | { readonly kind: 'restart' }
  /** PostgreSQL is stopped, until `resume`. */
  | { readonly kind: 'halt'; readonly mode: StopMode }
  /** PostgreSQL is started again on the same data. */
  | { readonly kind: 'resume' };

/** What a keeper tells its owner. */
export type Report =
  | { readonly kind: 'ready'; readonly url: string }
  /** PostgreSQL was stopped as ordered. */
  | { readonly kind: 'halted' }
  /** PostgreSQL could not be started. */
  | { readonly kind: 'failed'; readonly message: string }
  /** PostgreSQL ended by itself, and was started again. */
  | { readonly kind: 'revived'; readonly message: string }
  /** PostgreSQL ended by itself, and stays away. */
  | { readonly kind: 'ended'; readonly message: string };

/** What a keeper was started for: its first line, since anybody may read a command line and it has a password. */
export function parseTask(line: string): ServerOptions {
  return JSON.parse(line) as ServerOptions;
}

export function parseOrder(line: string): Order {
  return JSON.parse(line) as Order;
}

export function parseReport(line: string): Report {
  return JSON.parse(line) as Report;
}
