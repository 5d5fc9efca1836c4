import { Counter, collectDefaultMetrics, Gauge, Histogram, type Registry } from 'prom-client';
import type { KeptAnswers } from './kept-answers.ts';
import type { KnownReads } from './known-reads.ts';
import type { ReplicaWatch } from './replica-state.ts';

/** By what calls are counted. */
export interface CallLabels {
  readonly method: string;
  readonly source: string;
  readonly reason: string;
}

export interface ReaderMetrics {
  readonly registry: Registry;
  /** @returns what counts a call with these labels, told how many seconds it took. */
  counterOf(labels: CallLabels): (seconds: number) => void;
}

/** Methods that are counted by name (protocol §5); others, which clients may invent, together. */
const COUNTED_METHODS: ReadonlySet<string> = new Set([
  'info',
  'read',
  'summarize',
  'create',
  'update',
  'delete',
  'revive',
  'batch',
  'schema_read',
  'schema_entity_read',
  'schema_field_read',
  'query_display_name_cache',
  'activity_stream',
  'note_thread_contents',
  'followers',
  'following',
  'follow',
  'unfollow',
  'work_schedule_read',
  'preferences_read',
  'get_session_token',
]);
/** From what an answer of the replica takes to what a slow site takes. */
const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Calls of one combination of labels. */
interface Counted {
  readonly method: string;
  readonly source: string;
  readonly reason: string;
  /** Since they were last asked for. */
  calls: number;
  readonly count: (seconds: number) => void;
}

/** What the reader tells Prometheus. Reasons are few words by design, so that they can be labels. */
export function createMetrics(
  registry: Registry,
  watch: ReplicaWatch,
  answers: Pick<KeptAnswers, 'given'>,
  knownReads: Pick<KnownReads, 'found'>,
): ReaderMetrics {
  collectDefaultMetrics({ register: registry });
  // Labels are few, so what they lead to is kept: looked up for each call they take longer than the counting.
  const counted = new Map<string, Counted>();
  const calls = new Counter({
    name: 'understudy_reader_calls_total',
    help: 'Calls of the JSON API, by method, by who answered, and why the site did',
    labelNames: ['method', 'source', 'reason'],
    registers: [registry],
    collect: () => {
      for (const one of counted.values()) {
        calls.inc({ method: one.method, source: one.source, reason: one.reason }, one.calls);
        one.calls = 0;
      }
    },
  });
  const seconds = new Histogram({
    name: 'understudy_reader_call_seconds',
    help: 'Time from a call to the end of its answer',
    labelNames: ['method', 'source'],
    buckets: BUCKETS_S,
    registers: [registry],
  });
  new Gauge({
    name: 'understudy_reader_kept_answers_given',
    help: 'Calls answered from memory, after a look that found nothing changed',
    registers: [registry],
    collect() {
      this.set(answers.given);
    },
  });
  new Gauge({
    name: 'understudy_reader_known_reads_found',
    help: 'Calls that differ from ones before in numbers alone, so that they were not compiled anew',
    registers: [registry],
    collect() {
      this.set(knownReads.found);
    },
  });
  new Gauge({
    name: 'understudy_reader_lag_seconds',
    help: 'How old what the replica shows may be; not a number while that is not known',
    registers: [registry],
    collect() {
      const lagMs = watch.current()?.lagMs ?? Number.NaN;
      this.set(lagMs / 1_000);
    },
  });
  return {
    registry,
    counterOf: ({ method: named, source, reason }) => {
      const method = COUNTED_METHODS.has(named) ? named : 'other';
      const key = `${method} ${source} ${reason}`;
      const known = counted.get(key);
      if (known !== undefined) return known.count;
      const took = seconds.labels(method, source);
      const made: Counted = {
        method,
        source,
        reason,
        calls: 0,
        count: (elapsed) => {
          made.calls += 1;
          took.observe(elapsed);
        },
      };
      counted.set(key, made);
      return made.count;
    },
  };
}
