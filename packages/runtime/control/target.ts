import type { AnswerOutcome } from '@understudy/store/control-messages';
import type { Logger } from 'pino';

/** What came of a message at one instance, in words for people. */
export interface Outcome {
  readonly outcome: Exclude<AnswerOutcome, 'refused'>;
  readonly said: string;
}

export const done = (said: string): Outcome => ({ outcome: 'done', said });
/** The message does not concern this service, or there was nothing to do. */
export const nothing = (said: string): Outcome => ({ outcome: 'nothing', said });

/** What messages act on: one running instance of a service. What it lacks, it cannot be told. */
export interface ControlTarget {
  readonly log: Logger;
  /** Lets the process finish what it has in hand and end. */
  drain(): void;
  /** Remembers that the service is paused, or no longer is, and acts accordingly. */
  readonly setPaused?: (paused: boolean) => Promise<void>;
  /** Looks for new events now. */
  readonly poll?: () => Promise<Outcome>;
  /** Looks now whether there is a newer generation of the schema. */
  readonly reloadSchema?: () => Promise<Outcome>;
  /** Begins to keep `Type.field` as well. */
  readonly addField?: (path: string) => Promise<Outcome>;
}
