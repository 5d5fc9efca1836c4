import type { Json } from '@understudy/domain/entity';
import type { CachedField } from '@understudy/schema/cached-schema';
import fc from 'fast-check';
import type { Studio } from './studio.ts';

/** Numbers at the ends of what columns, JSON and doubles hold, and such as rounding makes. */
export const ODD_NUMBERS: readonly number[] = [
  0,
  -0,
  1.5,
  0.1 + 0.2,
  0.1,
  1e300,
  5e-324,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 32 + 1,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2 ** 63,
];

/** A moment as callers write it: with a zone, without (which is UTC), and with parts of a second. */
export const timeForms = (at: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(at, fc.constantFrom('Z', 'Z', '', '.999Z', '.5'))
    .map(([text, end]) => `${text.slice(0, 19)}${end}`);

/** A link as callers write it: what counts is its type and id, whatever else it has (protocol §4.1). */
export function linkForms(value: Json): fc.Arbitrary<Json> {
  const { type, id, name } = value as { readonly type: string; readonly id: number; readonly name: Json };
  return fc.constantFrom<Json>(
    { type, id, name },
    { type, id },
    { id, type, name: 'another' },
    { type, id, name: null, valid: 'valid', status: 'ip', url: null },
  );
}

/** Links to what a field does not hold: retired, of another type, never there. */
export function otherLinks(studio: Studio, field: CachedField): fc.Arbitrary<Json> {
  const types = field.validTypes.length > 0 ? field.validTypes : ['Shot'];
  const retired = types.flatMap((type) => (studio.retired.get(type) ?? []).map(({ id }) => ({ type, id })));
  const near = fc.record({ type: fc.constantFrom(...types), id: fc.integer({ min: 1, max: 400 }) });
  return fc.oneof(
    { weight: 4, arbitrary: near },
    { weight: retired.length > 0 ? 2 : 0, arbitrary: fc.constantFrom<Json>(...retired, null) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constantFrom(...studio.schema.types.keys()),
        id: fc.constantFrom(1, 2, 0, -1, 2 ** 31, Number.MAX_SAFE_INTEGER),
      }),
    },
  );
}
