import { InvalidArgumentError } from 'commander';

/** `Shot,Task` as a list. @throws InvalidArgumentError when it is empty. */
export function listArgument(text: string): readonly string[] {
  const words = text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  if (words.length === 0) throw new InvalidArgumentError('a list with commas between');
  return words;
}

/** `12,13` as a list of ids. @throws InvalidArgumentError */
export function idsArgument(text: string): readonly number[] {
  return listArgument(text).map((word) => {
    const id = Number(word);
    if (!Number.isSafeInteger(id) || id < 1) throw new InvalidArgumentError(`${word} is no id`);
    return id;
  });
}

/** A count of at least `min`. */
export function countArgument(min: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!Number.isSafeInteger(count) || count < min)
      throw new InvalidArgumentError(`a whole number from ${min}`);
    return count;
  };
}

const SPAN = /^(\d+(?:\.\d+)?)(s|min|m|h|d)$/;
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

/** Whether a text is a date, with or without a time, of a day that there is: not the 31st of February. */
function isDate(text: string): boolean {
  const [, year, month, day] = (DATE.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined) return false;
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day;
}

/** A moment: `2026-11-24`, `2026-11-24T08:00Z`, or how long ago it was: `90min`, `2h`, `3d`. @throws InvalidArgumentError */
export function timeArgument(text: string): Date {
  const span = SPAN.exec(text);
  const date =
    span === null
      ? new Date(isDate(text) ? text : Number.NaN)
      : new Date(Date.now() - Number(span[1]) * (UNITS_MS[span[2] ?? ''] ?? 0));
  // Not: before there were years.
  if (!(date.getUTCFullYear() >= 1))
    throw new InvalidArgumentError('a time like 2026-11-24T08:00Z, or a span before now like 90min, 2h, 3d');
  return date;
}
