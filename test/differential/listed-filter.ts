import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { type EntityRow, isEntityRef, type Json } from '@understudy/domain/entity';
import fc from 'fast-check';
import { fieldsOf, type Studio, valuesAt } from './studio.ts';

type Leaf = { readonly path: string; readonly relation: 'is'; readonly values: readonly Json[] };

const is = (path: string, value: Json): Leaf => ({ path, relation: 'is', values: [value] });

/** Fields of a type that hold one link, or a list of them. */
const linkFields = (studio: Studio, type: string, storage: 'link' | 'links'): readonly string[] =>
  fieldsOf(studio, type)
    .filter(({ dataType }) => DATA_TYPES[dataType].storage === storage && dataType !== 'addressing')
    .map(({ name }) => name);

/** Conditions that a row satisfies, each of what it, or something it links to, is linked to. */
function anchorsOf(studio: Studio, type: string, row: EntityRow): readonly Leaf[] {
  const links = linkFields(studio, type, 'link').flatMap((name) =>
    valuesAt(studio, row, name).flatMap((link) => (isEntityRef(link) ? [{ name, link }] : [])),
  );
  const further = links.flatMap(({ name, link }) =>
    linkFields(studio, link.type, 'link').flatMap((next) => {
      const path = `${name}.${link.type}.${next}`;
      return valuesAt(studio, row, path).map((value) => is(path, value));
    }),
  );
  return [is('id', row.id), ...links.map(({ name, link }) => is(name, link as unknown as Json)), ...further];
}

/**
 * A filter that asks who is in a list of links, and for something that narrows the rows further: such are compiled in a way
 * of their own where the values are frequent enough.
 * @param other any other condition.
 * @returns null where no row has links in a list.
 */
export function listedFilter(
  studio: Studio,
  type: string,
  rows: readonly EntityRow[],
  other: fc.Arbitrary<object>,
): fc.Arbitrary<object> | null {
  const listed = rows.flatMap((row) =>
    linkFields(studio, type, 'links').flatMap((name) =>
      valuesAt(studio, row, name).map((value) => ({ row, list: is(name, value) })),
    ),
  );
  if (listed.length === 0) return null;
  return fc.constantFrom(...listed).chain(({ row, list }) =>
    fc
      .tuple(
        fc.array(fc.constantFrom(...anchorsOf(studio, type, row)), { minLength: 1, maxLength: 2 }),
        fc.array(other, { maxLength: 1 }),
      )
      .chain(([anchors, others]) => {
        const all: readonly object[] = [list, ...anchors, ...others];
        return fc
          .shuffledSubarray([...all], { minLength: all.length })
          .map((conditions) => ({ logical_operator: 'and', conditions }));
      }),
  );
}
