import type { Logger } from '@understudy/runtime/logging';
import type { Answer } from './api-call.ts';
import type { Identity } from './identity.ts';
import type { CallLabels, ReaderMetrics } from './metrics.ts';
import { API_PATH } from './pass-through.ts';

/** What is logged and counted of a call. Holds no secret. */
export interface CallSummary {
  readonly method: string;
  readonly type: string | null;
  readonly identity: Identity;
}

/** How a call ended. */
export interface CallEnd {
  readonly source: Answer['source'];
  readonly reason: string | null;
  readonly status: number;
}

/** One line for each call: who asked what, who answered, why, and how long it took. Never a key (protocol §1.2). */
export interface CallLog {
  /** @param summary null: what came was no call. */
  told(requestId: string, elapsedMs: number, end: CallEnd, summary: CallSummary | null): void;
  /**
   * Of a call that the replica answered as it should.
   * @param summary the same object for all that are alike: what they share is made text once.
   */
  toldAlike(requestId: string, elapsedMs: number, summary: CallSummary): void;
}

/** Longest name that is logged: names are what a caller sent. */
const LOGGED_LENGTH_MAX = 100;
/** The end of calls that are alike. */
const AS_IT_SHOULD: CallEnd = { source: 'replica', reason: null, status: 200 };

/** What is logged of a call. */
interface CallLine {
  requestId?: string;
  ms?: number;
  method?: string;
  type?: string | null;
  script?: string | null;
  user?: string | null;
  session?: boolean;
  sudoAsLogin?: string | null;
  source?: string;
  reason?: string | null;
  status?: number;
}

/** Of calls that are alike. */
interface Alike {
  readonly log: Logger;
  readonly count: (seconds: number) => void;
}

export function createCallLog(parent: Logger, metrics: Pick<ReaderMetrics, 'counterOf'>): CallLog {
  // What is said of a call is made here, of parts that hold no secret: looking for one in each line takes 15 of 21 µs.
  const log = parent.child({}, { redact: [] });
  const alike = new WeakMap<CallSummary, Alike>();

  const alikeOf = (summary: CallSummary): Alike => {
    const line: CallLine = {};
    describe(line, summary, AS_IT_SHOULD);
    const made = { log: log.child(line), count: metrics.counterOf(labelsOf(summary, AS_IT_SHOULD)) };
    alike.set(summary, made);
    return made;
  };

  return {
    told: (requestId, elapsedMs, end, summary) => {
      const ms = tenths(elapsedMs);
      if (summary === null) {
        log.debug({ requestId, http: 'POST', path: API_PATH, status: end.status, ms }, 'request');
        return;
      }
      const line: CallLine = { requestId, ms };
      describe(line, summary, end);
      log.info(line, 'call');
      metrics.counterOf(labelsOf(summary, end))(elapsedMs / 1_000);
    },
    toldAlike: (requestId, elapsedMs, summary) => {
      const shared = alike.get(summary) ?? alikeOf(summary);
      shared.log.info({ requestId, ms: tenths(elapsedMs) }, 'call');
      shared.count(elapsedMs / 1_000);
    },
  };
}

/** Key by key: spread, it takes longer to make than to write. */
function describe(line: CallLine, { method, type, identity }: CallSummary, end: CallEnd): void {
  line.method = method;
  line.type = shortened(type);
  if (identity.kind === 'script') line.script = shortened(identity.name);
  else if (identity.kind === 'user') line.user = shortened(identity.name);
  else if (identity.kind === 'session') line.session = true;
  if (identity.sudoAsLogin !== null) line.sudoAsLogin = shortened(identity.sudoAsLogin);
  line.source = end.source;
  line.reason = end.reason;
  line.status = end.status;
}

function labelsOf({ method }: CallSummary, { source, reason }: CallEnd): CallLabels {
  return { method, source, reason: reason ?? 'none' };
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10;

const shortened = (name: string | null): string | null =>
  name === null || name.length <= LOGGED_LENGTH_MAX ? name : `${name.slice(0, LOGGED_LENGTH_MAX)}…`;
