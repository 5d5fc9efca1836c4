import type { Replica } from '@understudy/pipeline/replica';
import type { PassThrough } from '@understudy/query/pass-through';
import type { Logger } from '@understudy/runtime/logging';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { ReadConnections } from '@understudy/store/reads/read-connections';
import { type Answer, type ApiCall, jsonAnswer, type WholeBody } from './api-call.ts';
import type { Credentials, Verdict } from './credentials.ts';
import { ReaderError } from './errors.ts';
import type { KeptAnswers } from './kept-answers.ts';
import type { KnownReads } from './known-reads.ts';
import type { MediaLinks } from './media-links.ts';
import { passThrough } from './pass-through.ts';
import type { RefreshDebt } from './refresh-debt.ts';
import type { ReplicaState, ReplicaWatch } from './replica-state.ts';
import type { SiteReach } from './site-reach.ts';
import { AWAY_STATUSES, type Upstream } from './upstream.ts';

export interface LocalParts {
  /** Null until it is prepared. */
  readonly replica: () => Replica | null;
  readonly statements: ReadConnections;
  /** Kept answers of a schema; those of any other are forgotten. */
  readonly answersOf: (schema: CachedSchema) => KeptAnswers;
  readonly knownReads: KnownReads;
  readonly watch: ReplicaWatch;
  readonly credentials: Credentials;
  readonly upstream: Upstream;
  readonly reach: SiteReach;
  readonly debt: RefreshDebt;
  readonly maxLagMs: number;
  readonly mediaLinks: MediaLinks;
  /** Where links to pictures lead, instead of the address that the client reaches this reader by; empty: there. */
  readonly publicUrl: string;
  readonly log: Logger;
}

/** Makes the text of a reply, or finds while at it that only the site can. */
export type RunLocally = () => Promise<WholeBody | PassThrough>;

/** Says how a call is answered from the replica, or why it is not. Changes nothing. */
export type PrepareLocally = (replica: Replica, state: ReplicaState) => RunLocally | PassThrough;

/**
 * Answers a call that only reads from the replica where that is the site's answer, else from the site. While the site is
 * away, a replica that is older than it should be still answers.
 * @throws AuthenticationFault for credentials that the site refuses, ReaderError when neither can answer.
 */
export function answerLocally(parts: LocalParts, call: ApiCall, prepare: PrepareLocally): Promise<Answer> {
  const verdict = parts.credentials.check(call.envelope.auth, call.identity);
  return verdict instanceof Promise
    ? verdict.then((asked) => answerBy(asked, parts, call, prepare))
    : answerBy(verdict, parts, call, prepare);
}

function answerBy(
  verdict: Verdict,
  parts: LocalParts,
  call: ApiCall,
  prepare: PrepareLocally,
): Promise<Answer> {
  const { upstream } = parts;
  if (verdict.answer === 'site') return passThrough(upstream, call, verdict.reason);
  const replica = parts.replica();
  const state = parts.watch.current();
  if (replica === null || state === null) return passThrough(upstream, call, 'no-replica');
  const run = prepare(replica, state);
  if (typeof run !== 'function') return passThrough(upstream, call, reasonWord(run));
  const stale = whyStale(parts, state);
  if (stale === null) return fromReplica(parts, run, call, null);
  if (parts.reach.isAway) return fromReplica(parts, run, call, 'site-away');
  return passThrough(upstream, call, stale).then(
    (answer) => {
      if (!AWAY_STATUSES.has(answer.statusCode)) return answer;
      if (typeof answer.body === 'object' && 'destroy' in answer.body) answer.body.destroy();
      return fromReplica(parts, run, call, 'site-away');
    },
    (error: unknown) => {
      if (!(error instanceof ReaderError) || call.signal.aborted) throw error;
      return fromReplica(parts, run, call, 'site-away');
    },
  );
}

/** A reason as headers and counters have it. */
function reasonWord(found: PassThrough): string {
  return found.passThrough.replaceAll(' ', '-');
}

/** What is known of the replica, where it may answer and shows all that it should; else null. */
export function freshState(
  parts: Pick<LocalParts, 'replica' | 'watch' | 'debt' | 'maxLagMs'>,
): ReplicaState | null {
  const state = parts.watch.current();
  return parts.replica() === null || state === null || whyStale(parts, state) !== null ? null : state;
}

/** Why the replica may not show all that it should, in a word. */
function whyStale(parts: Pick<LocalParts, 'debt' | 'maxLagMs'>, state: ReplicaState): string | null {
  if (parts.debt.isOpen || state.hasUnmergedWrites) return 'unmerged-write';
  if (state.lagMs === null || state.lagMs > parts.maxLagMs) return 'lag';
  return null;
}

/** Runs it; whatever goes wrong with PostgreSQL, the site is asked instead. */
async function fromReplica(
  parts: LocalParts,
  run: RunLocally,
  call: ApiCall,
  reason: string | null,
): Promise<Answer> {
  let text: WholeBody | PassThrough;
  try {
    text = await run();
  } catch (error) {
    if (!isOfOneStatement(error)) parts.watch.lost();
    parts.log.warn(
      { err: error, requestId: call.requestId },
      'a read failed in PostgreSQL; it passes through',
    );
    return passThrough(parts.upstream, call, 'replica-failed');
  }
  if (typeof text === 'object' && 'passThrough' in text)
    return passThrough(parts.upstream, call, reasonWord(text));
  return jsonAnswer('replica', reason, text);
}

/** SQLSTATE classes of faults that lie with the server or the connection, not with the statement. */
const SERVER_STATES = /^(08|53|57P)/;

function isOfOneStatement(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && code.length === 5 && !SERVER_STATES.test(code);
}
