import { isKeptText } from '@understudy/domain/kept-text';
import { NotCompiled } from './pass-through.ts';

/** Stands among a statement's parameters for the moment at which it is run. */
export const NOW = Symbol('now');

/** PostgreSQL takes at most 65,535 parameters. */
const PARAMETERS_MAX = 20_000;

/** Collects a statement's parameters: values never become part of its text. */
export class Parameters {
  readonly values: unknown[] = [];

  /** Adds a value. @returns its place with a cast, such as `$3::bigint`. @throws NotCompiled for what cannot be sent. */
  add(value: unknown, cast: string): string {
    const texts = Array.isArray(value) ? value : [value];
    // Nothing stored equals it, but what the site makes of it is not known.
    if (texts.some((text) => typeof text === 'string' && !isKeptText(text)))
      throw new NotCompiled('value in doubt', 'text that is not Unicode, or has NUL in it');
    if (this.values.length >= PARAMETERS_MAX) throw new NotCompiled('filter too large');
    this.values.push(value);
    return `$${this.values.length}::${cast}`;
  }

  /** Whether what they are depends on when the statement is run. */
  get dependsOnNow(): boolean {
    return this.values.includes(NOW);
  }

  /** The moment at which the statement is run, as a timestamp in UTC, to the second. */
  now(): string {
    const known = this.values.indexOf(NOW);
    if (known === -1) this.values.push(NOW);
    return `($${known === -1 ? this.values.length : known + 1}::timestamptz at time zone 'UTC')`;
  }
}

/** A statement's parameters for running it at a moment. */
export function boundAt(params: readonly unknown[], now: Date): unknown[] {
  return params.map((value) => (value === NOW ? `${now.toISOString().slice(0, 19)}Z` : value));
}

/** A name or word of ours as an SQL literal; never used for what a caller sent. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** True where the condition holds, else false: never null. */
export function isTrue(condition: string): string {
  return `coalesce((${condition}), false)`;
}

/** The negative of a condition, which also holds where it is null (protocol §4.3, null rule). */
export function not(condition: string): string {
  return `not ${isTrue(condition)}`;
}

/** Conditions of which one must hold. */
export function anyOf(conditions: readonly string[]): string {
  return conditions.length === 0 ? 'false' : conditions.map((condition) => `(${condition})`).join(' or ');
}

/**
 * Text without its case, by Unicode's full rules whatever the database's locale is: filters of text ignore case
 * (protocol §4.3).
 */
export function folded(expression: string): string {
  return `lower(${expression} collate "und-x-icu")`;
}
