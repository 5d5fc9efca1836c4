import { type EntityLink, isEntityRef, type Json } from '../entity.ts';
import { keptJson } from '../kept-text.ts';
import { ValueError } from './data-type.ts';

/** Builders of `parse` functions that several data types share. All accept null unless they say otherwise. */

const fail = (expected: string, wire: unknown): never => {
  throw new ValueError(`expected ${expected}, got ${JSON.stringify(wire)?.slice(0, 80)}`);
};

/** Text or null. Empty text is null on the site (protocol §3.5). */
export function parseText(wire: unknown): string | null {
  if (wire === null || wire === undefined || wire === '') return null;
  return typeof wire === 'string' ? wire : fail('text', wire);
}

export function parseInteger(wire: unknown): number | null {
  if (wire === null || wire === undefined) return null;
  return Number.isSafeInteger(wire) ? (wire as number) : fail('an integer', wire);
}

export function parseNumber(wire: unknown): number | null {
  if (wire === null || wire === undefined) return null;
  return typeof wire === 'number' && Number.isFinite(wire) ? wire : fail('a number', wire);
}

/** true or false; a missing value is false, a checkbox is never null (protocol §3.5). */
export function parseCheckbox(wire: unknown): boolean {
  if (wire === null || wire === undefined) return false;
  return typeof wire === 'boolean' ? wire : fail('true or false', wire);
}

const DATE = /^\d{4}-\d{2}-\d{2}$/;
export function parseDate(wire: unknown): string | null {
  if (wire === null || wire === undefined) return null;
  return typeof wire === 'string' && DATE.test(wire) ? wire : fail('YYYY-MM-DD', wire);
}

const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
export function parseDateTime(wire: unknown): string | null {
  if (wire === null || wire === undefined) return null;
  return typeof wire === 'string' && DATE_TIME.test(wire) ? wire : fail('YYYY-MM-DDTHH:MM:SSZ', wire);
}

/** A link cut down to type, id and name, or null; extra keys of the site are dropped (protocol §3.4). */
export function parseLink(wire: unknown): Json {
  if (wire === null || wire === undefined) return null;
  if (!isEntityRef(wire)) return fail('a link', wire);
  const name = (wire as { name?: unknown }).name;
  const link: EntityLink = { type: wire.type, id: wire.id, name: typeof name === 'string' ? name : null };
  return link as unknown as Json;
}

/** A list of links, never null (protocol §3.5). */
export function parseLinks(wire: unknown): Json {
  if (wire === null || wire === undefined) return [];
  if (!Array.isArray(wire)) return fail('a list of links', wire);
  return wire.map((item) => parseLink(item) ?? fail('a link', item));
}

/** Any JSON, with marks where PostgreSQL cannot keep it (`kept-text`). */
export function parseJson(wire: unknown): Json {
  return keptJson((wire ?? null) as Json);
}

/** An event's value is taken as it is where `parse` accepts it; any other shape is in doubt. */
export function certain(parse: (wire: unknown) => Json): (value: unknown) => Json | undefined {
  return (value) => {
    try {
      return parse(value);
    } catch (error) {
      if (error instanceof ValueError) return undefined;
      throw error;
    }
  };
}

/** For data types whose event values are never trusted. */
export const inDoubt = (): undefined => undefined;
