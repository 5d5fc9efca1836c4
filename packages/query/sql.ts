/** Collects a statement's parameters: values never become part of its text. */
export class Parameters {
  readonly values: unknown[] = [];

  /** Adds a value. @returns its place with a cast, such as `$3::bigint`. */
  add(value: unknown, cast: string): string {
    this.values.push(value);
    return `$${this.values.length}::${cast}`;
  }
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
