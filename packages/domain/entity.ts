/** A reference to one entity: its type and its id on the site. */
export interface EntityRef {
  readonly type: string;
  readonly id: number;
}

/** A link as the site writes it (protocol §3.4): a reference with the display name of its target. */
export interface EntityLink extends EntityRef {
  readonly name: string | null;
}

/** A JSON value, as it travels on the wire. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One row of a `read` reply: `type` and `id` always, other fields by name (protocol §3.4). */
export interface EntityRow extends EntityRef {
  readonly [field: string]: Json;
}

/** @returns a string that is equal for equal references, for use as a key of maps and sets. */
export function refKey(ref: EntityRef): string {
  return `${ref.type}:${ref.id}`;
}

/** @returns whether `value` is an object with a string `type` and an integer `id`. */
export function isEntityRef(value: unknown): value is EntityRef {
  if (typeof value !== 'object' || value === null) return false;
  const ref = value as Record<string, unknown>;
  return typeof ref['type'] === 'string' && Number.isSafeInteger(ref['id']);
}
