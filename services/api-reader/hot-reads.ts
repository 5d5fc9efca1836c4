import { hash, randomBytes } from 'node:crypto';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { CallSummary } from './api.ts';
import type { ApiCall, OwnBytes } from './api-call.ts';
import type { Made } from './kept-answers.ts';
import { freshState, type LocalParts } from './local-answer.ts';
import { queryContext } from './replica-state.ts';

/** A request that was answered before, letter for letter, and whose answer is kept. */
export interface HotRead {
  readonly summary: CallSummary;
  /** @returns the answer of the moment. @throws whatever PostgreSQL or the network says. */
  body(): Promise<Buffer | OwnBytes>;
}

/**
 * Requests that are asked again and again by their very bytes: what they ask, who asks, and that it is kept, is known
 * without taking them apart. Everything else is decided anew for each: whether the credential is known and not to be
 * asked about, whether the replica is fresh, and (`KeptAnswers`) whether anything has been changed.
 */
export interface HotReads {
  /** @returns null for a request that has to be taken apart. */
  find(body: Buffer): HotRead | null;
  /** Remembers a request to a kept question. */
  learn(call: ApiCall, asked: Asked): void;
}

/** What a request asks. */
export interface Asked {
  readonly question: string;
  /** By which it was compiled. */
  readonly schema: CachedSchema;
  /** Makes the answer anew. Holds nothing of who asks. */
  readonly make: () => Promise<Made>;
}

interface Learned extends Asked {
  readonly summary: CallSummary;
  /** Its credential, as a keyed hash. */
  readonly credential: string;
}

/** Longer requests take longer to hash, and are hardly ever asked again. */
const BODY_BYTES_MAX = 32_768;
/** More than all tools of a studio ask again and again; each takes some kilobytes, its statement above all. */
const LEARNED_MAX = 2_000;
const SECRET_BYTES = 32;

/** Requests hold keys and passwords: they are known by a keyed hash, whose key never leaves the process. */
export function createHotReads(parts: Omit<LocalParts, 'hotReads'>): HotReads {
  const learned = new Map<string, Learned>();
  const secret = randomBytes(SECRET_BYTES);

  const keyOf = (body: Buffer): string => {
    const keyed = Buffer.allocUnsafe(SECRET_BYTES + body.length);
    secret.copy(keyed);
    body.copy(keyed, SECRET_BYTES);
    return hash('sha256', keyed, 'base64');
  };

  return {
    find: (body) => {
      if (learned.size === 0 || body.length > BODY_BYTES_MAX) return null;
      const key = keyOf(body);
      const known = learned.get(key);
      if (known === undefined) return null;
      const { summary, credential, question, schema, make } = known;
      const state = freshState(parts);
      if (state === null || !parts.credentials.isLocal(credential)) return null;
      const current = queryContext(state).schema;
      const answers = parts.answersOf(current);
      if (current !== schema || !answers.has(question)) {
        learned.delete(key);
        return null;
      }
      return { summary, body: () => answers.answer(question, make) };
    },
    learn: (call, asked) => {
      const { envelope, identity, body } = call;
      const type = (envelope.payload as { readonly type?: unknown }).type;
      const credential = envelope.auth === null ? null : parts.credentials.keyOf(envelope.auth);
      if (credential === null || body.length > BODY_BYTES_MAX) return;
      const oldest = learned.keys().next();
      if (learned.size >= LEARNED_MAX && oldest.done !== true) learned.delete(oldest.value);
      const summary = { method: envelope.method, type: typeof type === 'string' ? type : null, identity };
      learned.set(keyOf(body), { ...asked, summary, credential });
    },
  };
}
