import { createHash } from 'node:crypto';

/** A statement that PostgreSQL keeps prepared, for as long as the connection lives. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** Names a statement after its text: PostgreSQL cuts names at 63 bytes, and equal names must mean equal statements. */
export function statement(purpose: string, text: string): Statement {
  return { name: `${purpose}-${createHash('sha256').update(text).digest('base64url').slice(0, 16)}`, text };
}
