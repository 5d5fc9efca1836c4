import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { CompiledRead } from '@understudy/query/compile-read';
import { type ReadTemplate, templateOf } from '@understudy/query/read-template';
import type { QueryContext } from '@understudy/query/scope';
import type { ApiCall, OwnBytes, SharedBytes } from './api-call.ts';
import type { CallSummary } from './call-log.ts';
import { parseEnvelope, payloadType } from './envelope.ts';
import { isEventRead } from './event-reads.ts';
import { freshState, type LocalParts } from './local-answer.ts';
import { answerCompiled, isLookedAt } from './read.ts';
import { queryContext } from './replica-state.ts';
import { createShapeOf, type RequestShape, withNumbers } from './request-shape.ts';

/** A request of a known shape. */
export interface KnownRead {
  /** The same object for all of its shape. */
  readonly summary: CallSummary;
  /** @returns the answer of the moment. @throws whatever PostgreSQL or the network says. */
  body(): Promise<SharedBytes | OwnBytes>;
}

/**
 * Requests that differ from ones answered before in nothing but numbers: what they ask and who asks is known without taking
 * them apart and compiling them, which is a quarter of what a read of a few rows costs here. Everything else is decided anew for
 * each: whether the credential is known and not to be asked about, whether the replica is fresh, and (`KeptAnswers`)
 * whether anything has been changed.
 */
export interface KnownReads {
  /** How many requests were known so far. */
  readonly found: number;
  /**
   * @param same stands for all requests that are equal byte for byte; null: it is not known whether there are others.
   * @returns null for one that is too long to be known.
   */
  seen(body: Buffer, same: object | null): SeenRequest | null;
  /** @returns null for a request that has to be taken apart. */
  find(seen: SeenRequest): KnownRead | null;
  /** To be told of a read that the replica answered; the second of a shape is learned. */
  learn(seen: SeenRequest, call: ApiCall): void;
  /** @returns a read as a key of kept answers, the same whoever asks, and however the request is written. */
  questionOf(payload: unknown): string;
}

/** A request that came, perhaps several times. */
export interface SeenRequest {
  readonly shape: RequestShape;
  /** What was found for it the last time. */
  found: Found | null;
}

interface Found {
  readonly known: Known;
  readonly read: KnownRead;
}

interface Known {
  readonly summary: CallSummary;
  /** Its credential, as a keyed hash. */
  readonly credential: string;
  /** By which it was compiled. */
  readonly context: QueryContext;
  readonly template: ReadTemplate;
  readonly questionOf: (numbers: readonly number[]) => string;
}

/** More than all tools of a studio ask; each takes some kilobytes. */
const KNOWN_MAX = 2_000;
/** Of one shape there may be several, by the numbers that are not free: each page of a list is one. */
const OF_SHAPE_MAX = 8;
/** Shapes of which it is remembered that one was answered. */
const SEEN_MAX = 5_000;

export function createKnownReads(parts: Omit<LocalParts, 'knownReads'>): KnownReads {
  const shapeOf = createShapeOf();
  const seenBefore = new WeakMap<object, SeenRequest>();
  const known = new Map<string, Known[]>();
  const seen = new Set<string>();
  let found = 0;
  let size = 0;

  const isWorthLearning = ({ key }: RequestShape): boolean => {
    const ofShape = known.get(key);
    if (ofShape !== undefined) return ofShape.length < OF_SHAPE_MAX;
    if (seen.delete(key)) return true;
    if (seen.size >= SEEN_MAX) seen.clear();
    seen.add(key);
    return false;
  };

  const forget = (key: string): void => {
    size -= known.get(key)?.length ?? 0;
    known.delete(key);
  };

  const keep = (key: string, one: Known): void => {
    const ofShape = (known.get(key) ?? []).filter(({ context }) => context === one.context);
    forget(key);
    known.set(key, [...ofShape, one]);
    size += ofShape.length + 1;
    for (const oldest of known.keys()) {
      if (size <= KNOWN_MAX) return;
      forget(oldest);
    }
  };

  const findNow = ({ key, numbers }: RequestShape, context: QueryContext): Found | null => {
    const ofShape = known.get(key);
    // All of a shape are of one context.
    if (ofShape !== undefined && ofShape[0]?.context !== context) forget(key);
    const one = ofShape?.find((each) => each.context === context && each.template.fits(numbers));
    if (one === undefined) return null;
    const read = (): CompiledRead => one.template.read(numbers);
    const question = one.questionOf(numbers);
    return {
      known: one,
      read: { summary: one.summary, body: () => answerCompiled(parts, context.schema, read, () => question) },
    };
  };

  const questionOf = (payload: unknown): string => {
    const text = JSON.stringify(payload ?? null);
    const shape = shapeOf(Buffer.from(text));
    return shape === null ? hash('sha256', text, 'base64') : questionWith(shape.key, shape.numbers);
  };

  /** What `questionOf` gives for the payloads of a shape; null where their numbers are not those of the request. */
  const questionsOf = (shape: RequestShape, call: ApiCall): Known['questionOf'] | null => {
    const shapeWith = (numbers: readonly number[]): RequestShape | null => {
      const { payload } = parseEnvelope(withNumbers(call.body, shape, numbers));
      return shapeOf(Buffer.from(JSON.stringify(payload ?? null)));
    };
    const own = shapeWith(shape.numbers);
    // Each different, so that it is seen which is which.
    const others = shape.numbers.map((_, place) => place + 1);
    const other = shapeWith(others);
    if (own === null || other === null || own.key !== other.key) return null;
    // Numbers before the payload are none of the question's.
    const first = shape.numbers.length - own.numbers.length;
    const isSame = first >= 0 && isDeepStrictEqual(other.numbers, others.slice(first));
    return isSame ? (numbers) => questionWith(own.key, numbers.slice(first)) : null;
  };

  return {
    get found() {
      return found;
    },
    seen: (body, same) => {
      const before = same === null ? undefined : seenBefore.get(same);
      if (before !== undefined) return before;
      const shape = shapeOf(body);
      if (shape === null) return null;
      const request: SeenRequest = { shape, found: null };
      if (same !== null) seenBefore.set(same, request);
      return request;
    },
    questionOf,
    find: (request) => {
      if (request.found === null && !known.has(request.shape.key)) return null;
      const state = freshState(parts);
      if (state === null) return null;
      const context = queryContext(state);
      if (request.found?.known.context !== context) request.found = findNow(request.shape, context);
      if (request.found === null || !parts.credentials.isLocal(request.found.known.credential)) return null;
      found += 1;
      return request.found.read;
    },
    learn: ({ shape }, call) => {
      const { envelope, identity } = call;
      const { method, auth, payload } = envelope;
      const state = freshState(parts);
      const type = payloadType(payload);
      if (method !== 'read' || isEventRead(call) || type === null || state === null) return;
      if (!isWorthLearning(shape)) return;
      const context = queryContext(state);
      const credential = auth === null ? null : parts.credentials.keyOf(auth);
      if (credential === null || isLookedAt(payload, type, context.schema)) return;
      const template = templateOf(
        shape.numbers,
        (numbers) => parseEnvelope(withNumbers(call.body, shape, numbers)).payload,
        context,
      );
      const questions = template === null ? null : questionsOf(shape, call);
      if (template === null || questions === null) return;
      const summary = { method, type, identity };
      keep(shape.key, { summary, credential, context, template, questionOf: questions });
    },
  };
}

const questionWith = (key: string, numbers: readonly number[]): string => `${key} ${numbers.join(' ')}`;
