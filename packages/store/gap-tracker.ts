/** Event ids that were skipped: they may still appear, out of order, or never (protocol §6.5). Both ends belong to it. */
export interface Gap {
  readonly first: number;
  readonly last: number;
  /** When it was noticed, milliseconds. */
  readonly seenAt: number;
}

/** The ids between `after` and each of `ids` (ascending) that are not there, as gaps noticed now. */
export function newGaps(after: number, ids: readonly number[], now: number): readonly Gap[] {
  const gaps: Gap[] = [];
  let expected = after + 1;
  for (const id of ids) {
    if (id > expected) gaps.push({ first: expected, last: id - 1, seenAt: now });
    expected = Math.max(expected, id + 1);
  }
  return gaps;
}

/** Takes ids that appeared out of the gaps, splitting them where needed. */
export function fillGaps(gaps: readonly Gap[], ids: readonly number[]): readonly Gap[] {
  let open: readonly Gap[] = gaps;
  for (const id of ids) {
    open = open.flatMap((gap) => {
      if (id < gap.first || id > gap.last) return [gap];
      const left = { ...gap, last: id - 1 };
      const right = { ...gap, first: id + 1 };
      return [left, right].filter((part) => part.first <= part.last);
    });
  }
  return open;
}

/** Parts the gaps that were missing too long from the others. */
export function expireGaps(
  gaps: readonly Gap[],
  now: number,
  timeoutMs: number,
): { readonly open: readonly Gap[]; readonly expired: readonly Gap[] } {
  const isExpired = (gap: Gap): boolean => now - gap.seenAt >= timeoutMs;
  return { open: gaps.filter((gap) => !isExpired(gap)), expired: gaps.filter(isExpired) };
}
