import { type EntityRef, isEntityRef, type Json, refKey } from '@understudy/domain/entity';
import { own } from './envelope.ts';

export const WRITE_METHODS = ['create', 'update', 'delete', 'revive', 'batch'] as const;
export type WriteMethod = (typeof WRITE_METHODS)[number];

/** What one write asks of one entity (protocol §5.1 to §5.4). */
export interface WriteRequest {
  readonly kind: 'create' | 'update' | 'delete' | 'revive';
  readonly type: string;
  /** Null for an entity to be made. */
  readonly id: number | null;
  /** The fields it sets. */
  readonly fields: readonly string[];
  /** Everything that the values link to. */
  readonly links: readonly EntityRef[];
  /** Whether a value is a link or a list of links, or may take the place of one. */
  readonly relinks: boolean;
}

const KINDS: ReadonlySet<unknown> = new Set(['create', 'update', 'delete', 'revive']);

/** @returns whether a method is written through and merged before its reply; other writes are passed on only. */
export function isWriteMethod(method: string): method is WriteMethod {
  return (WRITE_METHODS as readonly string[]).includes(method);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export const mayBeLinks = (value: unknown): boolean =>
  value === null || Array.isArray(value) || isEntityRef(value);

/** @returns every entity in a value or a list of values. */
export function linksIn(value: unknown): readonly EntityRef[] {
  const values = Array.isArray(value) ? value : [value];
  return values.filter(isEntityRef).map(({ type, id }) => ({ type, id }));
}

function requestFrom(kind: unknown, payload: unknown): WriteRequest | null {
  if (!KINDS.has(kind) || !isObject(payload)) return null;
  const type = own(payload, 'type');
  const id = own(payload, 'id');
  if (typeof type !== 'string') return null;
  const items = own(payload, 'fields');
  const fields: string[] = [];
  const links: EntityRef[] = [];
  let relinks = false;
  for (const item of Array.isArray(items) ? items : []) {
    const name = isObject(item) ? own(item, 'field_name') : undefined;
    if (typeof name !== 'string') continue;
    fields.push(name);
    const value = own(item, 'value');
    links.push(...linksIn(value));
    relinks ||= mayBeLinks(value);
  }
  return {
    kind: kind as WriteRequest['kind'],
    type,
    id: typeof id === 'number' && Number.isSafeInteger(id) ? id : null,
    fields,
    links,
    relinks,
  };
}

/**
 * Takes the payload of a write. What is malformed is left out: the site refuses it, and nothing will have changed.
 * Those of a batch keep their order and number, so that they can be matched with its results.
 */
export function writeRequests(method: WriteMethod, payload: unknown): readonly (WriteRequest | null)[] {
  if (method !== 'batch') return [requestFrom(method, payload)];
  if (!Array.isArray(payload)) return [];
  return payload.map((part: unknown) =>
    isObject(part) ? requestFrom(own(part, 'request_type'), part) : null,
  );
}

/** Of these the site makes one for each file that is linked, and says so in the value alone (protocol §3.5). */
const FILE = 'Attachment';

/** Files that a row of a reply links to: those that the write made are among them. */
export function filesIn(values: unknown): readonly EntityRef[] {
  if (!isObject(values)) return [];
  return Object.values(values)
    .flatMap(linksIn)
    .filter(({ type }) => type === FILE);
}

/**
 * The entities that writes were about, those made by them taken from the results of the reply (protocol §5).
 * @param results undefined where the answer was lost: what was made is then not known.
 */
export function subjectsOf(
  method: WriteMethod,
  requests: readonly (WriteRequest | null)[],
  results: Json | undefined,
): readonly EntityRef[] {
  const answers: readonly (Json | undefined)[] =
    method === 'batch' ? (Array.isArray(results) ? results : []) : [results];
  const subjects = new Map<string, EntityRef>();
  for (const [place, request] of requests.entries()) {
    if (request === null) continue;
    const answer = answers[place];
    // `create` may answer with an array of one (protocol §1.3).
    const made = Array.isArray(answer) ? (answer[0] as Json | undefined) : answer;
    const ref =
      request.id !== null
        ? { type: request.type, id: request.id }
        : isEntityRef(made)
          ? { type: made.type, id: made.id }
          : null;
    for (const one of [...(ref === null ? [] : [ref]), ...filesIn(made)]) subjects.set(refKey(one), one);
  }
  return [...subjects.values()];
}
