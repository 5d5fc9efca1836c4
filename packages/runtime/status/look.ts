/** What came of looking at something that may be away. */
export type Seen<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: Error };

/** An answer younger than this serves everyone who asks. */
const FRESH_MS = 500;
/** Something that takes longer than this to answer counts as away. */
const TIMEOUT_MS = 2_000;

/**
 * Makes a look at something that is asked by many (pages, metrics) and may be away: one question at a time is under way
 * whoever asks, so that nothing piles up before a server that does not answer.
 */
export function createLook<T>(
  read: () => Promise<T>,
  {
    freshMs = FRESH_MS,
    timeoutMs = TIMEOUT_MS,
  }: { readonly freshMs?: number; readonly timeoutMs?: number } = {},
): () => Promise<Seen<T>> {
  let underWay: Promise<Seen<T>> | null = null;
  let last: { readonly seen: Seen<T>; readonly at: number } | null = null;

  const start = (): Promise<Seen<T>> => {
    const look = read()
      .then(
        (value): Seen<T> => ({ ok: true, value }),
        (error: unknown): Seen<T> => ({
          ok: false,
          error: error instanceof Error ? error : new Error(String(error)),
        }),
      )
      .then((seen) => {
        underWay = null;
        last = { seen, at: performance.now() };
        return seen;
      });
    underWay = look;
    return look;
  };

  return async () => {
    if (last !== null && performance.now() - last.at < freshMs) return last.seen;
    const tooLate = Promise.withResolvers<Seen<T>>();
    const timer = setTimeout(
      () => tooLate.resolve({ ok: false, error: new Error(`no answer in ${timeoutMs} ms`) }),
      timeoutMs,
    );
    return Promise.race([underWay ?? start(), tooLate.promise]).finally(() => clearTimeout(timer));
  };
}
