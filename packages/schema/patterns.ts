import { DATA_TYPES, isDataTypeName } from '@understudy/domain/data-types/registry';
import picomatch from 'picomatch';
import { isPerUser, NEVER_TYPES } from './cacheable.ts';
import { type CachedField, type CachedSchema, type CachedType, isFieldName } from './cached-schema.ts';
import { identifierField } from './display-name.ts';
import type { FullField, FullSchema } from './full-schema.ts';

/** A pattern file that cannot be used; the message names the line. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/** One line of a pattern file. */
interface Pattern {
  readonly takes: boolean;
  readonly typeName: string;
  readonly fieldName: string | null;
  readonly type: (name: string) => boolean;
  readonly field: (name: string) => boolean;
  readonly dataType: (name: string) => boolean;
}

const LINE = /^([+-])?\s*([^\s.:]+)(?:\.([^\s.:]+))?(?::([^\s.:]+))?$/;
const WILD = /[*?[\]{}!()]/;

/**
 * Takes a pattern file: lines `+ Type`, `- Type.field`, `Type.field:data_type`, each name a glob, `#` begins a comment.
 * @throws PatternError naming the line.
 */
export function parsePatterns(text: string): readonly Pattern[] {
  return text.split('\n').flatMap((raw, index) => {
    const line = raw.replace(/#.*$/, '').trim();
    if (line === '') return [];
    const found = LINE.exec(line);
    if (found === null) throw new PatternError(`line ${index + 1}: ${raw.trim()}`);
    const [, sign, typeName = '', fieldName, dataType] = found;
    const glob = (pattern: string | undefined): ((name: string) => boolean) =>
      pattern === undefined ? () => true : picomatch(pattern);
    return [
      {
        takes: sign !== '-',
        typeName,
        fieldName: fieldName ?? null,
        type: glob(typeName),
        field: glob(fieldName),
        dataType: glob(dataType),
      },
    ];
  });
}

/** How a field of the site is kept, or null where it cannot be. */
function keepable(field: FullField): CachedField | null {
  const { name, dataType, validTypes } = field;
  if (name === 'id' || name === 'type' || field.isPerUser || isPerUser(name)) return null;
  if (!isFieldName(name)) return null;
  if (!isDataTypeName(dataType) || DATA_TYPES[dataType].storage === 'none') return null;
  return { name, dataType, validTypes, absent: false };
}

/**
 * The part of a site's schema that patterns choose: of the lines that match a field the first one decides, and what none
 * matches is left out. A field that a line names in full and the site lacks is known to be absent. What cannot be kept
 * is never chosen: the event log, fields that depend on who asks, data types without a value of their own. Where the site
 * names another field than usual for the display names of a type, chosen or not, the file tells.
 */
export function filterSchema(site: FullSchema, patterns: readonly Pattern[]): CachedSchema {
  const types = new Map<string, CachedType>();
  for (const [name, siteFields] of site) {
    if (NEVER_TYPES.has(name)) continue;
    const ofType = patterns.filter((pattern) => pattern.type(name));
    const fields = new Map<string, CachedField>();
    for (const siteField of siteFields.values()) {
      const first = ofType.find(
        (pattern) => pattern.field(siteField.name) && pattern.dataType(siteField.dataType),
      );
      const kept = first?.takes === true ? keepable(siteField) : null;
      if (kept !== null) fields.set(kept.name, kept);
    }
    for (const { takes, typeName, fieldName } of ofType) {
      if (!takes || fieldName === null || WILD.test(typeName) || WILD.test(fieldName)) continue;
      if (siteFields.has(fieldName) || fields.has(fieldName) || fieldName === 'id') continue;
      fields.set(fieldName, { name: fieldName, dataType: 'text', validTypes: [], absent: true });
    }
    const isNamed = ofType.find((pattern) => pattern.fieldName === null)?.takes === true;
    if (fields.size > 0 || isNamed) types.set(name, { name, fields });
  }
  const identifiers = identifiersOf(site);
  return identifiers.size === 0 ? { types } : { types, identifiers };
}

/** A display name is text: a site may name another kind of field, which says nothing (protocol §3.4, Status). */
function identifiersOf(site: FullSchema): ReadonlyMap<string, string> {
  const identifiers = new Map<string, string>();
  for (const [type, fields] of site) {
    if (NEVER_TYPES.has(type)) continue;
    const told = [...fields.values()].find((field) => field.isIdentifier && field.dataType === 'text');
    if (told !== undefined && told.name !== identifierField(type)) identifiers.set(type, told.name);
  }
  return identifiers;
}
