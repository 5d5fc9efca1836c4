/** What statements take PostgreSQL, as far as can be told from when their answers come. */
export interface StatementCosts {
  /** Milliseconds that a run of a statement is expected to take. */
  of(name: string): number;
  /** To be told how long after the answer before it, or after it was sent, a run was answered. */
  learn(name: string, tookMs: number): void;
}

/** Of a statement that was never run, or is too long to have a name. */
const UNKNOWN_MS = 1;
/** How much of the newest run counts. Answers that come together are told as one long run and several of no length. */
const SHARE = 1 / 16;
/** A run counts as no longer than so many times what was expected, and this: it may be the process that stood still. */
const TIMES_MAX = 3;
const MORE_MS = 0.5;
/** Statements that are remembered. */
const KNOWN_MAX = 2_000;

export function createStatementCosts(): StatementCosts {
  const known = new Map<string, number>();
  return {
    of: (name) => known.get(name) ?? UNKNOWN_MS,
    learn: (name, tookMs) => {
      if (name === '') return;
      const before = known.get(name);
      if (before === undefined && known.size >= KNOWN_MAX) known.clear();
      const expected = before ?? UNKNOWN_MS;
      known.set(name, expected + (Math.min(tookMs, expected * TIMES_MAX + MORE_MS) - expected) * SHARE);
    },
  };
}
