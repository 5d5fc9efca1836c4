import { type SiteField, type SiteSchema, SiteSchemaError } from './site-schema.ts';

/** What of a site's schema a replica depends on: entity type → field → data type and allowed link types. */
export type SiteSchemaDigest = Readonly<
  Record<string, Readonly<Record<string, readonly [dataType: string, ...validTypes: string[]]>>>
>;

/** Equal for site schemas that make no difference to a replica; types, fields and allowed types are in order of names. */
export function digestOf(site: SiteSchema): SiteSchemaDigest {
  const inOrder = <T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    inOrder(site).map(([type, fields]) => [
      type,
      Object.fromEntries(
        inOrder(fields).map(([name, field]) => [
          name,
          [field.dataType, ...[...field.validTypes].sort()] as const,
        ]),
      ),
    ]),
  );
}

/** The site schema that a digest was made of, as far as it goes. @throws SiteSchemaError for anything else. */
export function siteSchemaFrom(digest: SiteSchemaDigest): SiteSchema {
  return new Map(
    Object.entries(digest).map(([type, fields]) => [
      type,
      new Map(
        Object.entries(fields).map(([name, [dataType, ...validTypes]]): [string, SiteField] => {
          if (typeof dataType !== 'string') throw new SiteSchemaError(`${type}.${name} has no data type`);
          const rest = { validValues: [], editable: true, unique: false, defaultValue: null };
          return [name, { name, dataType, validTypes, ...rest }];
        }),
      ),
    ]),
  );
}

/** One field or type in which two site schemas differ. */
export interface SiteChange {
  readonly kind: 'made' | 'deleted' | 'data-type' | 'allowed-types';
  readonly type: string;
  /** Undefined: the whole type. */
  readonly field?: string;
  /** Whether types were taken away from those that a link may lead to. */
  readonly narrowed: boolean;
  /** For people. */
  readonly message: string;
}

/** What became different on the site. */
export function siteChanges(before: SiteSchemaDigest, after: SiteSchemaDigest): readonly SiteChange[] {
  const changes: SiteChange[] = [];
  for (const type of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, young] = [before[type], after[type]];
    if (old === undefined || young === undefined) {
      const kind = old === undefined ? 'made' : 'deleted';
      changes.push({ kind, type, narrowed: false, message: `${type} was ${kind}` });
      continue;
    }
    for (const field of new Set([...Object.keys(old), ...Object.keys(young)])) {
      const change = fieldChange(type, field, old[field], young[field]);
      if (change !== null) changes.push(change);
    }
  }
  return changes;
}

function fieldChange(
  type: string,
  field: string,
  old: readonly string[] | undefined,
  young: readonly string[] | undefined,
): SiteChange | null {
  const name = `${type}.${field}`;
  const base = { type, field, narrowed: false };
  if (old === undefined) return { ...base, kind: 'made', message: `${name} was made (${young?.[0]})` };
  if (young === undefined) return { ...base, kind: 'deleted', message: `${name} was deleted` };
  if (old[0] !== young[0])
    return { ...base, kind: 'data-type', message: `${name} is ${young[0]}, was ${old[0]}` };
  const [had, has] = [old.slice(1), young.slice(1)];
  if (had.join() === has.join()) return null;
  const narrowed = had.some((target) => !has.includes(target)) || (had.length === 0 && has.length > 0);
  const message = `${name} leads to ${has.join(', ') || 'any type'}, led to ${had.join(', ') || 'any type'}`;
  return { ...base, kind: 'allowed-types', narrowed, message };
}
