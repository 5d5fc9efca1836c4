import { isDeepStrictEqual } from 'node:util';
import { type CompiledRead, compileRead } from './compile-read.ts';
import type { QueryContext } from './scope.ts';

/**
 * What reads have in common that differ in numbers alone: tools ask the same of one entity after the other. Most of their
 * numbers are ids, which become parameters as they are; those are free. All others, such as the size of a page, are part of
 * what is asked.
 */
export interface ReadTemplate {
  /** Whether a read with these numbers is one of them. */
  fits(numbers: readonly number[]): boolean;
  /** @returns what `compileRead` makes of the read with these numbers, which must fit. */
  read(numbers: readonly number[]): CompiledRead;
}

/** Numbers that templates are about. What holds for both ends of this, and for what lies next to them, holds between them. */
export const SMALLEST = 1;
export const LARGEST = 999_999_999;
const PROBES = [SMALLEST, SMALLEST + 1, LARGEST - 1, LARGEST];
/** With more numbers a read is compiled anew each time: finding out which are free takes several compilations for each. */
const NUMBERS_MAX = 24;

/** For each number the parameters that it becomes; null for one that is not free, or becomes none. */
type Places = readonly (readonly number[] | null)[];

/**
 * Finds out which numbers of a read are free, by compiling it with others in their place.
 * @param numbers of a read, each from `SMALLEST` to `LARGEST`.
 * @param payloadWith gives the payload with other numbers in their places.
 * @returns null where the read is not compiled, or has too many numbers.
 */
export function templateOf(
  numbers: readonly number[],
  payloadWith: (numbers: readonly number[]) => unknown,
  context: QueryContext,
): ReadTemplate | null {
  if (numbers.length > NUMBERS_MAX) return null;
  const compiled = (others: readonly number[]): CompiledRead | null => {
    const read = compileRead(payloadWith(others), context);
    return 'passThrough' in read ? null : read;
  };
  const base = compiled(numbers);
  if (base === null) return null;

  const paramsOf = (read: CompiledRead | null): readonly unknown[] | null =>
    read !== null && isDeepStrictEqual({ ...read, params: null }, { ...base, params: null })
      ? read.params
      : null;

  /** Where a number became a parameter in every probe, and nothing else changed. */
  const placesOf = (at: number): readonly number[] | null => {
    const places = new Set(base.params.keys());
    for (const probe of PROBES) {
      const params = paramsOf(compiled(numbers.with(at, probe)));
      if (params === null || params.length !== base.params.length) return null;
      for (const [place, param] of params.entries()) {
        if (param !== probe) places.delete(place);
      }
      for (const [place, param] of params.entries()) {
        if (!places.has(place) && !isDeepStrictEqual(param, base.params[place])) return null;
      }
    }
    return places.size === 0 ? null : [...places];
  };

  const places: Places = numbers.map((_, at) => placesOf(at));
  const template: ReadTemplate = {
    fits: (others) =>
      others.length === numbers.length &&
      places.every((free, at) => free !== null || others[at] === numbers[at]),
    read: (others) => {
      const params = [...base.params];
      for (const [at, free] of places.entries()) for (const place of free ?? []) params[place] = others[at];
      return { ...base, params };
    },
  };
  // Free one by one, they must be free together as well.
  for (const shift of PROBES.keys()) {
    const others = numbers.map((number, at) =>
      places[at] === null ? number : (PROBES[(at + shift) % PROBES.length] as number),
    );
    if (!isDeepStrictEqual(template.read(others), compiled(others))) return null;
  }
  return template;
}
