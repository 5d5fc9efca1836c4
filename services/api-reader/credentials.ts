import { hash as digest, randomBytes } from 'node:crypto';
import { AuthenticationFault, SiteUnavailable } from '@understudy/site-client/faults';
import { type AuthObject, own } from './envelope.ts';
import { type Identity, identityOf } from './identity.ts';
import type { SiteReach } from './site-reach.ts';

/** What a credential may have: answers of the replica, or only what the site says. */
export type Verdict =
  | { readonly answer: 'local' }
  /** `reason` is one of a few words, for headers, logs and metrics. */
  | { readonly answer: 'site'; readonly reason: string };

/**
 * Asks the site about a credential.
 * @throws AuthenticationFault when it refuses, SiteUnavailable when it is away.
 */
export type AskSite = (auth: AuthObject, identity: Identity) => Promise<Verdict>;

export interface Credentials {
  /**
   * Takes the auth object of a request (protocol §1.2) and says whether it may be answered from the replica. The site is
   * asked when it was not within the last `ttlMs`; while it is away, a credential that it accepted within `graceMs`
   * is believed.
   * @param identity whom the auth object names.
   * @returns at once what is known; most callers have been seen before, and waiting for nothing takes time as well. Else a
   *   promise, which fails with AuthenticationFault in the site's own words, or SiteUnavailable for one that cannot be checked.
   */
  check(auth: AuthObject | null, identity?: Identity): Verdict | Promise<Verdict>;
  /** @returns what a credential is remembered by: a keyed hash; null for one that is the site's to judge. */
  keyOf(auth: AuthObject): string | null;
  /** Whether one that is remembered may be answered from the replica, and need not be asked about now. */
  isLocal(key: string): boolean;
  /** To be called when the site refused it in answer to anything else. */
  forget(auth: AuthObject | null): void;
}

export interface CredentialOptions {
  readonly ask: AskSite;
  readonly reach: SiteReach;
  readonly ttlMs: number;
  readonly graceMs: number;
  /**
   * Whether anybody but scripts can be answered locally at all; otherwise the credentials of people and sessions need
   * not be asked about.
   */
  readonly servesUsers: boolean;
  /** Milliseconds of a clock that never steps back. */
  readonly now?: () => number;
}

interface Known {
  readonly verdict: Verdict;
  readonly askedAt: number;
}

/** More credentials at once than a studio has; beyond it the one that was asked about longest ago is forgotten. */
const KNOWN_MAX = 20_000;
const HASH_KEY_BYTES = 32;
/** Differs from call to call without changing who calls (protocol §1.2). */
const NO_PART_OF_IDENTITY: ReadonlySet<string> = new Set(['session_uuid']);

/** What makes a credential of each kind (protocol §1.2); clients send those of one kind. */
const KINDS: readonly (readonly string[])[] = [
  ['user_login', 'user_password', 'auth_token'],
  ['script_name', 'script_key'],
  ['session_token'],
];

/**
 * Which of several kinds counts is known of the client alone: a site that looked at another one would have checked somebody
 * else than is named here.
 */
const isOfSeveralKinds = (auth: AuthObject): boolean =>
  KINDS.filter((names) => names.some((name) => own(auth, name) != null)).length > 1;

/**
 * Remembers credentials that the site accepted, by a keyed hash whose key never leaves the process: neither memory
 * nor anything else holds them in clear.
 */
export function createCredentials(options: CredentialOptions): Credentials {
  const { reach, ttlMs, graceMs } = options;
  const now = options.now ?? (() => performance.now());
  // In front of what is hashed, in one call: nobody outside sees a hash, so nothing can be appended to what made one, and
  // the objects of an HMAC take three times as long.
  const hashKey = randomBytes(HASH_KEY_BYTES).toString('base64');
  const known = new Map<string, Known>();
  const asking = new Map<string, Promise<Verdict>>();

  /** @returns null for an auth object with parts that are no plain values: those are the site's to judge. */
  const hashOf = (auth: AuthObject): string | null => {
    let text = hashKey;
    for (const name of Object.keys(auth).sort()) {
      const value = auth[name];
      if (NO_PART_OF_IDENTITY.has(name)) continue;
      if (typeof value === 'object' && value !== null) return null;
      text += `${JSON.stringify(name)}:${JSON.stringify(value)},`;
    }
    return digest('sha256', text, 'base64');
  };

  const remember = (hash: string, verdict: Verdict, askedAt: number): void => {
    known.delete(hash);
    known.set(hash, { verdict, askedAt });
    const oldest = known.keys().next();
    if (known.size > KNOWN_MAX && oldest.done !== true) known.delete(oldest.value);
  };

  /** Many callers with one credential ask once. */
  const ask = (hash: string, auth: AuthObject, identity: Identity): Promise<Verdict> => {
    const running = asking.get(hash);
    if (running !== undefined) return running;
    const askedAt = now();
    const asked = options
      .ask(auth, identity)
      .then(
        (verdict) => {
          remember(hash, verdict, askedAt);
          return verdict;
        },
        (error: unknown) => {
          const before = known.get(hash);
          // What was learned since then is newer than this refusal.
          if (error instanceof AuthenticationFault && (before === undefined || before.askedAt <= askedAt))
            known.delete(hash);
          throw error;
        },
      )
      .finally(() => asking.delete(hash));
    asking.set(hash, asked);
    return asked;
  };

  const check = (auth: AuthObject | null, identity = identityOf(auth)): Verdict | Promise<Verdict> => {
    if (auth === null || identity.kind === 'none') return { answer: 'site', reason: 'credentials' };
    if (!options.servesUsers) {
      if (identity.sudoAsLogin !== null) return { answer: 'site', reason: 'sudo' };
      if (identity.kind !== 'script') return { answer: 'site', reason: identity.kind };
    }
    // A one-time code is used up by the first who asks with it, and that must be the client's own call.
    if (identity.kind === 'user' && own(auth, 'auth_token') != null)
      return { answer: 'site', reason: 'one-time-code' };
    const hash = hashOf(auth);
    if (hash === null || (identity.name === null && identity.kind !== 'session'))
      return { answer: 'site', reason: 'credentials' };
    const before = known.get(hash);
    if (before === undefined && isOfSeveralKinds(auth)) return { answer: 'site', reason: 'credentials' };
    const ageMs = before === undefined ? Number.POSITIVE_INFINITY : now() - before.askedAt;
    if (before !== undefined && ageMs < ttlMs) {
      // Asked again ahead of time, so that nobody waits for it.
      if (ageMs > ttlMs / 2 && !asking.has(hash)) {
        ask(hash, auth, identity).catch(() => {
          // A refusal has been remembered; a site that is away is asked again by the next request.
        });
      }
      return before.verdict;
    }
    const isInGrace = before !== undefined && ageMs < graceMs;
    if (before !== undefined && isInGrace && reach.isAway) return before.verdict;
    return ask(hash, auth, identity).catch((error: unknown) => {
      if (before !== undefined && isInGrace && error instanceof SiteUnavailable) return before.verdict;
      throw error;
    });
  };

  return {
    check,
    keyOf: hashOf,
    isLocal: (key) => {
      const before = known.get(key);
      return before?.verdict.answer === 'local' && now() - before.askedAt <= ttlMs / 2;
    },
    forget: (auth) => {
      const hash = auth === null ? null : hashOf(auth);
      if (hash !== null) known.delete(hash);
    },
  };
}
