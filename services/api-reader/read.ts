import type { Replica } from '@understudy/pipeline/replica';
import { type CompiledRead, compileRead, countParams } from '@understudy/query/compile-read';
import type { Logger } from '@understudy/runtime/logging';
import { type Answer, type ApiCall, jsonAnswer } from './api-call.ts';
import type { Credentials } from './credentials.ts';
import { ReaderError } from './errors.ts';
import { passThrough } from './pass-through.ts';
import { servedTypesOf } from './readiness.ts';
import type { RefreshDebt } from './refresh-debt.ts';
import type { ReplicaState, ReplicaWatch } from './replica-state.ts';
import type { SiteReach } from './site-reach.ts';
import { AWAY_STATUSES, type Upstream } from './upstream.ts';

export interface ReadParts {
  /** Null until it is prepared. */
  readonly replica: () => Replica | null;
  readonly watch: ReplicaWatch;
  readonly credentials: Credentials;
  readonly upstream: Upstream;
  readonly reach: SiteReach;
  readonly debt: RefreshDebt;
  readonly maxLagMs: number;
  readonly log: Logger;
}

/** A read that takes PostgreSQL longer than this is the site's to answer. */
const QUERY_TIMEOUT_MS = 30_000;

interface PageRow {
  readonly entities: string;
  readonly has_next_page: boolean;
}

/**
 * Answers a `read` (protocol §3) from the replica where that is the site's answer, else from the site. While the site is
 * away, a replica that is older than it should be still answers.
 * @throws AuthenticationFault for credentials that the site refuses, ReaderError when neither can answer.
 */
export async function answerRead(parts: ReadParts, call: ApiCall): Promise<Answer> {
  const { upstream } = parts;
  const verdict = await parts.credentials.check(call.envelope.auth);
  if (verdict.answer === 'site') return passThrough(upstream, call, verdict.reason);
  const replica = parts.replica();
  const state = parts.watch.current();
  if (replica === null || state === null) return passThrough(upstream, call, 'no-replica');
  const read = compileRead(call.envelope.payload, {
    schema: replica.schema,
    servedTypes: servedTypesOf(replica.schema, state),
    now: new Date(),
  });
  if ('passThrough' in read) return passThrough(upstream, call, read.passThrough.replaceAll(' ', '-'));
  const stale = whyStale(parts, state);
  if (stale === null) return fromReplica(parts, replica, read, call, null);
  if (parts.reach.isAway) return fromReplica(parts, replica, read, call, 'site-away');
  return passThrough(upstream, call, stale).then(
    (answer) => {
      if (!AWAY_STATUSES.has(answer.statusCode)) return answer;
      if (typeof answer.body === 'object' && 'destroy' in answer.body) answer.body.destroy();
      return fromReplica(parts, replica, read, call, 'site-away');
    },
    (error: unknown) => {
      if (!(error instanceof ReaderError) || call.signal.aborted) throw error;
      return fromReplica(parts, replica, read, call, 'site-away');
    },
  );
}

/** Why the replica may not show all that it should, in a word. */
function whyStale(parts: ReadParts, state: ReplicaState): string | null {
  if (parts.debt.isOpen) return 'unmerged-write';
  if (state.lagMs === null || state.lagMs > parts.maxLagMs) return 'lag';
  return null;
}

/** Runs the read; whatever goes wrong with PostgreSQL, the site is asked instead. */
async function fromReplica(
  parts: ReadParts,
  replica: Replica,
  read: CompiledRead,
  call: ApiCall,
  reason: string | null,
): Promise<Answer> {
  let text: string;
  try {
    text = await runRead(replica, read);
  } catch (error) {
    if (!isOfOneStatement(error)) parts.watch.lost();
    parts.log.warn(
      { err: error, requestId: call.requestId },
      'a read failed in PostgreSQL; it passes through',
    );
    return passThrough(parts.upstream, call, 'replica-failed');
  }
  return jsonAnswer('replica', reason, text);
}

/** SQLSTATE classes of faults that lie with the server or the connection, not with the statement. */
const SERVER_STATES = /^(08|53|57P)/;

function isOfOneStatement(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && code.length === 5 && !SERVER_STATES.test(code);
}

/** @returns the JSON of the reply: `{"results": {"entities": […], "paging_info": {…}}}` (protocol §3.2). */
async function runRead(replica: Replica, read: CompiledRead): Promise<string> {
  const { pool } = replica.db;
  const { rows } = await pool.query<PageRow>({
    name: read.name,
    text: read.sql,
    values: [...read.params],
    query_timeout: QUERY_TIMEOUT_MS,
  } as never);
  const [row] = rows;
  if (row === undefined) throw new Error('a read gave no row');
  const { pageSize, page } = read;
  let paging = `"current_page":${page},"entities_per_page":${pageSize},"has_next_page":${row.has_next_page}`;
  if (read.countSql !== null) {
    const { rows: counts } = await pool.query<{ entity_count: string }>({
      text: read.countSql,
      values: [...countParams(read)],
      query_timeout: QUERY_TIMEOUT_MS,
    } as never);
    const count = Number(counts[0]?.entity_count);
    paging = `"current_page":${count === 0 ? 0 : page},"page_count":${Math.ceil(count / pageSize)},"entity_count":${count},"entities_per_page":${pageSize},"has_next_page":${row.has_next_page}`;
  }
  return `{"results":{"entities":${row.entities},"paging_info":{${paging}}}}`;
}
