import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Json } from '@understudy/domain/entity';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { fieldAt } from './field-at.ts';

/** A picture that a link leads to: the value of a field of an entity, as it was when the link was made. */
export interface MediaRef {
  readonly type: string;
  readonly id: number;
  /** May be dotted: `entity.Shot.image`. */
  readonly field: string;
  /** Names the picture itself: another one has another. */
  readonly version: string;
}

/** Makes addresses of our own for pictures, and knows them again. */
export interface MediaLinks {
  /** @param base `http://host:port` as the client reaches this reader. */
  linkTo(ref: MediaRef, name: string, base: string): string;
  /** @returns what a link leads to, or null for one that is not ours, was changed, or is too old. */
  refOf(path: MediaPath, query: { readonly until?: unknown; readonly key?: unknown }): MediaRef | null;
}

/** The parts of a link's path as they came. */
export interface MediaPath {
  readonly type: string;
  readonly id: string;
  readonly field: string;
  readonly version: string;
}

/** Where links lead, below a host. */
export const MEDIA_PATH = '/understudy/media';
/** A link is good for the rest of the day (UTC) and this many more, so that answers stay the same for a day. */
const LINK_DAYS = 2;
const DAY_MS = 86_400_000;
const KEY_LENGTH = 32;

/**
 * Links are as unguessable as the site's own, which anybody may follow who was given one: a keyed hash over all of them.
 * @param secret known to every reader of the site and to nobody else.
 */
export function createMediaLinks(secret: string, now: () => number = Date.now): MediaLinks {
  const hashKey = createHmac('sha256', secret).update('understudy media links').digest();
  const keyOf = (ref: MediaRef, until: number): string =>
    createHmac('sha256', hashKey)
      .update(JSON.stringify([ref.type, ref.id, ref.field, ref.version, until]))
      .digest('base64url')
      .slice(0, KEY_LENGTH);
  return {
    linkTo: (ref, name, base) => {
      const until = Math.floor(now() / DAY_MS) + 1 + LINK_DAYS;
      const path = [ref.type, ref.id, ref.field, ref.version, name].map(encodeURIComponent).join('/');
      return `${base}${MEDIA_PATH}/${path}?until=${until}&key=${keyOf(ref, until)}`;
    },
    refOf: (path, query) => {
      const ref = { type: path.type, id: Number(path.id), field: path.field, version: path.version };
      const until = Number(query.until);
      if (!Number.isSafeInteger(ref.id) || !Number.isSafeInteger(until)) return null;
      const expected = Buffer.from(keyOf(ref, until));
      const given = Buffer.from(String(query.key));
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
      return until * DAY_MS > now() ? ref : null;
    },
  };
}

const VERSION_LENGTH = 24;

/** Names the picture at an address without its signature. */
export function versionOf(address: string): string {
  return createHash('sha256').update(address).digest('hex').slice(0, VERSION_LENGTH);
}

/** While the site is still making a picture, clients wait for this to be gone from its address (protocol §3.5). */
const TRANSIENT = '/images/status/transient/';

export const isTransient = (address: string): boolean => address.includes(TRANSIENT);

const NAME_LENGTH_MAX = 80;

/** The name of the file at an address, so that clients may tell its kind by its end. */
export function nameAt(address: string): string {
  const name = address.split(/[?#]/, 1)[0]?.split('/').at(-1) ?? '';
  const safe = name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(-NAME_LENGTH_MAX);
  return safe === '' ? 'image' : safe;
}

/** @returns those of the fields that a read asks for which hold pictures. */
export function imageFields(
  schema: CachedSchema,
  type: string,
  fields: readonly unknown[],
): readonly string[] {
  const found = new Set<string>();
  for (const path of fields) {
    if (typeof path !== 'string') continue;
    const field = fieldAt(schema, type, path);
    if (field?.dataType === 'image' && !field.absent) found.add(path);
  }
  return [...found];
}

declare global {
  interface JSON {
    /** Text that `stringify` gives as it is (ECMAScript, JSON.parse source text access). */
    rawJSON(text: string): unknown;
  }
}

/** Numbers keep the form that they came in: 2.0 is another type than 2 to many clients. */
const keepNumbers = (_key: string, value: unknown, context?: { readonly source: string }): unknown =>
  typeof value === 'number' && context !== undefined ? JSON.rawJSON(context.source) : value;

/**
 * Puts links in the place of the lasting addresses that the replica keeps.
 * @param reply text of a reply to `read` (protocol §3.2).
 */
export function withLinks(
  reply: string,
  images: readonly string[],
  linkTo: (ref: MediaRef, name: string) => string,
): string {
  const parsed = JSON.parse(reply, keepNumbers) as {
    readonly results: { readonly entities: readonly Record<string, Json>[] };
  };
  for (const row of parsed.results.entities) {
    for (const field of images) {
      const address = row[field];
      if (typeof address !== 'string' || isTransient(address)) continue;
      const ref = { type: String(row['type']), id: Number(JSON.stringify(row['id'])), field };
      row[field] = linkTo({ ...ref, version: versionOf(address) }, nameAt(address));
    }
  }
  return JSON.stringify(parsed);
}
