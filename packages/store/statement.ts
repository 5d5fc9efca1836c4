import { createHash } from 'node:crypto';

/** A statement that PostgreSQL keeps prepared, for as long as the connection lives. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** A connection keeps every statement that it has prepared: of those that differ with each set of fields, so many. */
const KEPT_OF_ONE = 24;

const kept = new WeakMap<object, Map<string, Statement>>();

/**
 * A statement of which there may be very many, one for each set of fields: the first ones about a thing are kept prepared,
 * others are not.
 */
export function fewStatements(about: object, purpose: string, text: string): { readonly text: string } {
  const ofOne = kept.get(about) ?? new Map<string, Statement>();
  kept.set(about, ofOne);
  const known = ofOne.get(text);
  if (known !== undefined) return known;
  if (ofOne.size >= KEPT_OF_ONE) return { text };
  const made = statement(purpose, text);
  ofOne.set(text, made);
  return made;
}

/** Names a statement after its text: PostgreSQL cuts names at 63 bytes, and equal names must mean equal statements. */
export function statement(purpose: string, text: string): Statement {
  return { name: `${purpose}-${createHash('sha256').update(text).digest('base64url').slice(0, 16)}`, text };
}
