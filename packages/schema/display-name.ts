import type { CachedSchema } from './cached-schema.ts';

/** Types whose display name is not their `code` (protocol §3.4). */
const IDENTIFIERS: Readonly<Record<string, string>> = {
  Task: 'content',
  Reply: 'content',
  Note: 'subject',
  Project: 'name',
  HumanUser: 'name',
  Department: 'name',
  Page: 'name',
  Icon: 'name',
  Status: 'name',
  Tag: 'name',
  ActionMenuItem: 'title',
  Ticket: 'title',
  Delivery: 'title',
  ApiUser: 'firstname',
  EventLogEntry: 'description',
  Attachment: 'display_name',
  DisplayColumn: 'name',
};

/**
 * The field that the display name of an entity type mirrors (protocol §3.4).
 * @param schema what the site says of it; without, or where it says nothing, the field that is usual.
 */
export function identifierField(type: string, schema?: Pick<CachedSchema, 'identifiers'>): string {
  const told = schema?.identifiers?.get(type);
  if (told !== undefined) return told;
  return Object.hasOwn(IDENTIFIERS, type) ? (IDENTIFIERS[type] as string) : 'code';
}

/** Types whose display name is computed, so that a change of the identifier does not give the new name. */
const COMPUTED: ReadonlySet<string> = new Set(['HumanUser', 'Delivery', 'ApiUser']);

/** @returns whether the display name equals the identifier field's value as it is. */
export function isPlainIdentifier(type: string): boolean {
  return !COMPUTED.has(type);
}
