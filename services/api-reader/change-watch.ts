import type { Logger } from '@understudy/runtime/logging';
import { pause } from '@understudy/runtime/loop';
import { CHANGES_SINCE, forgetChangeMarks } from '@understudy/store/change-marks';
import type { Queryable } from '@understudy/store/database';
import type { ReadConnections } from '@understudy/store/read-connections';

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
  /** Forgets old marks now and then, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** Marks are kept for this long by every reader, so nobody may ask for changes since a snapshot that is older. */
const MARKS_KEPT_MS = 10 * 60_000;
/** A look that long ago counts as none: half the time above. */
const LOOK_VALID_MS = 5 * 60_000;
const FORGET_MS = 60_000;

interface LastLook {
  readonly snapshot: string;
  readonly at: number;
  /** Connections lost until then: where one is lost, PostgreSQL may have lost transactions with it. */
  readonly losses: number;
}

export function createChangeWatch(
  statements: Pick<ReadConnections, 'texts' | 'losses'>,
  database: Queryable,
  log: Logger,
): ChangeWatch {
  let seen = 0;
  let last: LastLook | null = null;
  /** Before this look everything counts as changed. */
  let allChangedAt = 0;
  const changedAt = new Map<string, number>();
  let running: Promise<number> | null = null;
  let scheduled: Promise<number> | null = null;

  const isValid = (look: LastLook | null): look is LastLook =>
    look !== null && performance.now() - look.at < LOOK_VALID_MS && look.losses === statements.losses;

  const lookNow = async (): Promise<number> => {
    const at = performance.now();
    const before = isValid(last) ? last : null;
    const { losses } = statements;
    const number = seen + 1;
    try {
      const [text = ''] = await statements.texts(CHANGES_SINCE, [before?.snapshot ?? null]);
      const [snapshot = '', ...marks] = text.split(' ');
      if (before === null || losses !== statements.losses) {
        allChangedAt = number;
        changedAt.clear();
      }
      for (const mark of marks) changedAt.set(mark, number);
      last = { snapshot, at, losses };
      seen = number;
      return number;
    } catch (error) {
      // What was changed meanwhile cannot be told, and the numbers go on.
      last = null;
      throw error;
    }
  };

  const start = (): Promise<number> => {
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
      scheduled ??= (running === null ? turn() : running.catch(() => {})).then(start);
      return scheduled;
    },
    isChangedSince: (marks, since) => {
      if (since < allChangedAt || last === null || last.losses !== statements.losses) return true;
      return marks.some((mark) => (changedAt.get(mark) ?? 0) > since);
    },
    run: async (signal) => {
      const snapshots: { readonly snapshot: string; readonly at: number }[] = [];
      while (!signal.aborted) {
        await pause(FORGET_MS, signal);
        if (signal.aborted) return;
        try {
          const [snapshot = ''] = await statements.texts(
            { name: 'snapshot', text: 'select pg_current_snapshot()::text' },
            [],
          );
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

/** Ends with this turn of the event loop: whoever asks within it is served together. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
