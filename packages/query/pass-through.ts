/**
 * A read that is not answered here: thrown while compiling, caught by the compilers, which give its reason. Also whatever
 * the site would refuse goes to the site, so that the refusal is the site's own.
 */
export class NotCompiled extends Error {
  override readonly name = 'NotCompiled';
  /** A word or two, for headers and counters: few and always the same. */
  readonly reason: string;

  constructor(reason: string, detail = '') {
    super(detail === '' ? reason : `${reason}: ${detail}`);
    this.reason = reason;
  }
}

/** What compilers give for a read that must go to the site. */
export interface PassThrough {
  readonly passThrough: string;
  /** For people. */
  readonly detail: string;
}
