import type { Logger } from '@understudy/runtime/logging';
import { pause } from '@understudy/runtime/loop';
import {
  areForgottenSince,
  CHANGES_SINCE,
  forgetChangeMarks,
  MARKED,
  SNAPSHOT,
} from '@understudy/store/change-marks';
import type { Queryable } from '@understudy/store/database';
import type { ReadConnections } from '@understudy/store/reads/read-connections';

/**
 * Knows which tables have been changed, by looking when it matters. Looks are numbered; each sees what every transaction
 * did that was committed before the look began, and finds what was changed since the look before it.
 */
export interface ChangeWatch {
  /** Number of the last look that has ended; 0 before the first. What is read from now on sees at least as much. */
  readonly seen: number;
  /**
   * Looks, not before this call; all who ask at the same moment share one.
   * @returns the number of that look. @throws whatever PostgreSQL or the network says.
   */
  look(): Promise<number>;
  /** Whether any of the tables was found changed by a look after that with the number `since`. */
  isChangedSince(marks: readonly string[], since: number): boolean;
  /** Whether changes of all these tables are found: each is known to leave marks. */
  covers(marks: readonly string[]): boolean;
  /** To be called when other tables are served than before: everything counts as changed. */
  reset(): void;
  /** Forgets old marks now and then, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** Marks older than this are forgotten; a reader that has not looked for so long begins anew. */
const MARKS_KEPT_MS = 10 * 60_000;
const FORGET_MS = 60_000;
/** A look that takes longer has failed: an answer is made anew in less. */
const LOOK_TIMEOUT_MS = 1_000;

interface LastLook {
  readonly snapshot: string;
  /** Connections lost until then. */
  readonly losses: number;
}

/**
 * @param statements through one connection at a time: two looks belong together only if both went through the same one.
 *   A PostgreSQL that crashed, was restored or gave way to another may have lost transactions and used their numbers
 *   again, so what was seen before tells nothing of it; none of them leaves a connection alive.
 * @param database where old marks are deleted.
 */
export function createChangeWatch(
  statements: Pick<ReadConnections, 'texts' | 'losses'>,
  database: Queryable,
  log: Logger,
): ChangeWatch {
  let seen = 0;
  let last: LastLook | null = null;
  /** Whether the last look found that no transaction had ended: likely the next one will, too. */
  let wasQuiet = false;
  /** Before this look everything counts as changed. */
  let allChangedAt = 0;
  const changedAt = new Map<string, number>();
  let covered: ReadonlySet<string> = new Set();
  let running: Promise<number> | null = null;
  let scheduled: Promise<number> | null = null;
  /** How many wait for the scheduled one. */
  let waiting = 0;
  /** Counts what was reset: a look that began before says nothing of what came after. */
  let epoch = 0;

  const lookNow = async (): Promise<number> => {
    const { losses } = statements;
    const before = last?.losses === losses ? last : null;
    const began = epoch;
    const number = seen + 1;
    try {
      if (before !== null && wasQuiet) {
        const [snapshot] = await inTime(statements.texts(SNAPSHOT, []));
        if (losses === statements.losses && began === epoch && snapshot === before.snapshot) {
          seen = number;
          return number;
        }
      }
      const marked = before === null ? await inTime(statements.texts(MARKED, [])) : null;
      const [text = ''] = await inTime(statements.texts(CHANGES_SINCE, [before?.snapshot ?? null]));
      const [snapshot = '', ...marks] = text.split(' ');
      wasQuiet = snapshot === before?.snapshot;
      if (losses !== statements.losses || began !== epoch) {
        // Nothing can be told: the next look begins anew.
        last = null;
        allChangedAt = number + 1;
      } else {
        last = { snapshot, losses };
        if (before === null || areForgottenSince(before.snapshot, marks)) {
          allChangedAt = number;
          changedAt.clear();
        }
        if (marked !== null) covered = new Set(marked);
        for (const mark of marks) changedAt.set(mark, number);
      }
      seen = number;
      return number;
    } catch (error) {
      last = null;
      throw error;
    }
  };

  /** Ends once those who ask together have asked: a look for one costs as much as a look for all. */
  const gathered = async (): Promise<void> => {
    await turn();
    if (waiting > 1) await turn();
  };

  const start = (): Promise<number> => {
    waiting = 0;
    scheduled = null;
    const look = lookNow().finally(() => {
      running = null;
    });
    running = look;
    return look;
  };

  return {
    get seen() {
      return seen;
    },
    look: () => {
      // One that runs began before this call; the next begins after it.
      waiting += 1;
      scheduled ??= (running ?? Promise.resolve()).then(gathered, gathered).then(start);
      return scheduled;
    },
    isChangedSince: (marks, since) => {
      if (since < allChangedAt || last === null || last.losses !== statements.losses) return true;
      return marks.some((mark) => (changedAt.get(mark) ?? 0) > since);
    },
    covers: (marks) => last !== null && marks.every((mark) => covered.has(mark)),
    reset: () => {
      epoch += 1;
      last = null;
    },
    run: async (signal) => {
      const snapshots: { readonly snapshot: string; readonly at: number }[] = [];
      while (!signal.aborted) {
        await pause(FORGET_MS, signal);
        if (signal.aborted) return;
        try {
          const [snapshot = ''] = await statements.texts(SNAPSHOT, []);
          snapshots.push({ snapshot, at: performance.now() });
          const [oldest] = snapshots;
          if (oldest === undefined || performance.now() - oldest.at < MARKS_KEPT_MS) continue;
          snapshots.shift();
          await forgetChangeMarks(database, oldest.snapshot);
        } catch (error) {
          log.debug({ err: error }, 'old marks of changes could not be forgotten');
        }
      }
    },
  };
}

/** @throws Error when it takes too long. */
function inTime<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // Made only when it is needed: an error knows where it was made, which takes longer than all else here.
    const tooLate = (): void => reject(new Error(`no answer in ${LOOK_TIMEOUT_MS} ms`));
    const timer = setTimeout(tooLate, LOOK_TIMEOUT_MS);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Ends with this turn of the event loop: whoever asks within it is served together. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
