import { badEnvelope, nestedTooDeeply } from './errors.ts';
import { nestsDeeperThan } from './nesting.ts';

/** The auth object of a request as it came (protocol §1.2); unknown keys are tolerated. */
export type AuthObject = Readonly<Record<string, unknown>>;

/** A request of the JSON API (protocol §1.1), its payload not looked into yet. */
export interface Envelope {
  readonly method: string;
  /** Null for requests without credentials, as `info` is. */
  readonly auth: AuthObject | null;
  /** Undefined when omitted. */
  readonly payload: unknown;
}

/** Longest name of a method; the site's longest has 45 characters. */
const METHOD_NAME_LENGTH_MAX = 100;
/** Tools nest filters some ten deep, and each group takes two levels. */
const LEVELS_MAX = 1_000;

const decoder = new TextDecoder('utf-8', { fatal: true });

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A property of an object's own: `__proto__` and `constructor` in a request name nothing. */
export function own(object: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/**
 * Takes the body of `POST /api3/json` (protocol §1.1).
 * @throws ReaderError 400 when it is not UTF-8, not JSON, or not an envelope; a fault when it nests too deeply.
 */
export function parseEnvelope(body: Uint8Array): Envelope {
  if (nestsDeeperThan(body, LEVELS_MAX)) throw nestedTooDeeply(LEVELS_MAX);
  let parsed: unknown;
  try {
    parsed = JSON.parse(decoder.decode(body));
  } catch {
    throw badEnvelope('the body is not JSON in UTF-8');
  }
  if (!isObject(parsed)) throw badEnvelope('the body is not an object');
  const method = own(parsed, 'method_name');
  if (typeof method !== 'string' || method === '' || method.length > METHOD_NAME_LENGTH_MAX)
    throw badEnvelope("invalid/missing string 'method_name'");
  const params = own(parsed, 'params') ?? [];
  if (!Array.isArray(params)) throw badEnvelope("invalid/missing array 'params'");
  const [auth, payload] = params as readonly unknown[];
  if (auth !== undefined && auth !== null && !isObject(auth))
    throw badEnvelope("the first of 'params' is not an object");
  return { method, auth: auth ?? null, payload };
}

/** The entity type that a payload names, for logs and metrics; null where there is none. */
export function payloadType(payload: unknown): string | null {
  const type = isObject(payload) ? own(payload, 'type') : undefined;
  return typeof type === 'string' ? type : null;
}
