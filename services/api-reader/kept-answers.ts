import { OwnBytes, SharedBytes } from './api-call.ts';
import type { ChangeWatch } from './change-watch.ts';

/** What an answer is made of. */
export interface Made {
  readonly body: Buffer;
  /** Says which tables it was read from; null for an answer that must not be kept. Asked only where it would be. */
  readonly marks: () => readonly string[] | null;
}

/**
 * Keeps answers that are asked for again and again, and never gives a stale one: before a kept answer is given, a look
 * that begins after the request came must find that nothing it was made of has been changed since it was made. The look
 * is shared by all who wait at that moment, so that many clients cost one short statement.
 */
export interface KeptAnswers {
  /** How many kept answers were given so far. */
  readonly given: number;
  /** Whether any are kept at all. */
  readonly isOn: boolean;
  /** Whether an answer to a question is kept, good or not any more. */
  has(question: string): boolean;
  /**
   * @returns the answer of the moment to a question: kept, or made now by `make`; own bytes where nobody else is given the
   *   same.
   */
  answer(question: string, make: () => Promise<Made>): Promise<SharedBytes | OwnBytes>;
  /** Forgets everything: another schema is served. */
  clear(): void;
}

interface Kept {
  readonly body: SharedBytes;
  readonly marks: readonly string[];
  /** The last look that had ended when it began to be read: the answer sees all that this look saw. */
  readonly seen: number;
  /** Whether it was given since it was last spared. */
  isUsed: boolean;
}

/** One that is being made. */
interface Making {
  /** The last look that had ended when it began. */
  readonly seen: number;
  readonly made: Promise<SharedBytes>;
}

/** Questions of which it is remembered that they were asked once; only what is asked again is kept. */
const ASKED_MAX = 5_000;
/** No answer takes more than this share of the memory. */
const SHARE_MAX = 8;
/** About what an answer takes besides its own bytes. */
const OVERHEAD_BYTES = 500;

/** @param bytesMax memory for kept answers; 0: none is kept. */
export function createKeptAnswers(changes: ChangeWatch, bytesMax: number): KeptAnswers {
  const kept = new Map<string, Kept>();
  const asked = new Set<string>();
  const making = new Map<string, Making>();
  let bytes = 0;
  let given = 0;
  /** Counts what was cleared: what began before is neither kept nor shared after. */
  let epoch = 0;

  const sizeOf = (question: string, { body }: Kept): number =>
    2 * question.length + body.size + OVERHEAD_BYTES;

  const forget = (question: string): void => {
    const known = kept.get(question);
    if (known === undefined) return;
    bytes -= sizeOf(question, known);
    kept.delete(question);
  };

  const keep = (question: string, body: Buffer, found: Pick<Kept, 'marks' | 'seen'>): void => {
    forget(question);
    if (body.length > bytesMax / SHARE_MAX) return;
    const answer = { ...found, body: new SharedBytes(ownBytes(body)), isUsed: true };
    kept.set(question, answer);
    bytes += sizeOf(question, answer);
    // The oldest is spared once for having been given: moving each that is given to the end would cost more than giving it.
    for (const [oldest, one] of kept) {
      if (bytes <= bytesMax) return;
      if (one.isUsed) {
        one.isUsed = false;
        kept.delete(oldest);
        kept.set(oldest, one);
      } else forget(oldest);
    }
  };

  const isWorthKeeping = (question: string): boolean => {
    if (kept.has(question) || asked.delete(question)) return true;
    if (asked.size >= ASKED_MAX) asked.clear();
    asked.add(question);
    return false;
  };

  const makeNow = async (question: string, make: () => Promise<Made>): Promise<Buffer> => {
    const { seen } = changes;
    const began = epoch;
    const isWanted = isWorthKeeping(question);
    const made = await make();
    const { body } = made;
    // Without a look that came before it, nobody could tell what was changed since.
    const marks = isWanted && seen > 0 ? made.marks() : null;
    if (marks !== null && began === epoch && changes.covers(marks)) keep(question, body, { marks, seen });
    return body;
  };

  const own = (body: Buffer): OwnBytes => new OwnBytes(body);

  /** Once a look has ended that began after the question came. @param number of that look; null for one that failed. */
  const afterLook = (
    question: string,
    make: () => Promise<Made>,
    known: Kept,
    number: number | null,
  ): SharedBytes | Promise<SharedBytes | OwnBytes> => {
    // Nobody can tell what has changed: made anew, it is right, and if PostgreSQL is away that is found out.
    if (number === null) return makeNow(question, make).then(own);
    // It may have been made anew while the look was under way; that is at least as good.
    const current = kept.get(question) ?? known;
    if (!changes.isChangedSince(current.marks, current.seen)) {
      current.isUsed = true;
      given += 1;
      return current.body;
    }
    // Whoever waited for the same look may share what was begun after it.
    const other = making.get(question);
    if (other !== undefined && other.seen >= number) return other.made;
    const made = makeNow(question, make).then((body) => new SharedBytes(body));
    const mine: Making = { seen: changes.seen, made };
    making.set(question, mine);
    return made.finally(() => {
      if (making.get(question) === mine) making.delete(question);
    });
  };

  return {
    get given() {
      return given;
    },
    isOn: bytesMax > 0,
    has: (question) => kept.has(question),
    clear: () => {
      epoch += 1;
      changes.reset();
      kept.clear();
      making.clear();
      bytes = 0;
    },
    // Not an async function, nor any that it calls for a kept answer: each costs as much as finding the answer does.
    answer: (question, make) => {
      const known = kept.get(question);
      if (known !== undefined)
        return changes.look().then(
          (number) => afterLook(question, make, known, number),
          () => afterLook(question, make, known, null),
        );
      if (bytesMax === 0) return make().then(({ body }) => own(body));
      // The first look is for those who ask again.
      const makeOwn = (): Promise<OwnBytes> => makeNow(question, make).then(own);
      const isFirstLook = changes.seen === 0 && asked.has(question);
      return isFirstLook ? changes.look().then(makeOwn, makeOwn) : makeOwn();
    },
  };
}

/** Small buffers share memory with others, which would be kept as well. */
function ownBytes(body: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(body.length);
  body.copy(own);
  return own;
}
