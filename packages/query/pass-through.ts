/** Why a read is not answered here: few and always the same, for headers and counters. */
export type PassThroughReason =
  /** The site refuses it, in its own words. */
  | 'invalid read'
  | 'invalid filter'
  | 'invalid sorts'
  /** The replica does not keep what it asks for, or not yet. */
  | 'type not kept'
  | 'type not ready'
  | 'field not kept'
  /** The site knows more of these than is written down. */
  | 'filter presets'
  | 'reverse lookup'
  | 'operator not answered here'
  | 'value in doubt'
  | 'sort in doubt'
  | 'summary not answered here'
  | 'grouping not answered here'
  /** What the replica shows may be too old. */
  | 'lag'
  /** Bounds of one statement. */
  | 'too many fields'
  | 'too many sorts'
  | 'too many links'
  | 'filter too large'
  /** Of the event log. */
  | 'event not held'
  /** Of pictures. */
  | 'image numbers'
  | 'image addresses'
  /** Of schema reads. */
  | 'schema not stored'
  | 'schema changed'
  | 'schema of a project'
  | 'schema of a language';

/**
 * A read that is not answered here: thrown while compiling, caught by the compilers, which give its reason. Also whatever
 * the site would refuse goes to the site, so that the refusal is the site's own.
 */
export class NotCompiled extends Error {
  override readonly name = 'NotCompiled';
  readonly reason: PassThroughReason;

  constructor(reason: PassThroughReason, detail = '') {
    super(detail === '' ? reason : `${reason}: ${detail}`);
    this.reason = reason;
  }
}

/** What compilers give for a read that must go to the site. */
export interface PassThrough {
  readonly passThrough: PassThroughReason;
  /** For people. */
  readonly detail: string;
}

export function passingThrough(reason: PassThroughReason, detail = ''): PassThrough {
  return { passThrough: reason, detail: detail === '' ? reason : `${reason}: ${detail}` };
}
