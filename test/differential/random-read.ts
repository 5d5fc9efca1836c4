import type { DataType, Relation } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { EntityRow, Json } from '@understudy/domain/entity';
import type { CachedField, CachedSchema } from '@understudy/schema/cached-schema';
import fc from 'fast-check';

/** What random reads are made of: the schema, and rows whose values filters ask for. */
export interface Studio {
  readonly schema: CachedSchema;
  readonly rows: ReadonlyMap<string, readonly EntityRow[]>;
}

type Payload = Readonly<Record<string, unknown>>;

/** Two hops through links and a field; deeper ones add no new kind of statement. */
const HOPS_MAX = 2;
const LINKS: ReadonlySet<string> = new Set(['link', 'links']);

interface Place {
  readonly path: string;
  readonly type: string;
  readonly field: CachedField;
}

function fieldsOf(studio: Studio, type: string): readonly CachedField[] {
  return [...(studio.schema.types.get(type)?.fields.values() ?? [])];
}

/** A path of some hops from a type to a field for which `fits` holds. */
function placeIn(
  studio: Studio,
  type: string,
  fits: (field: CachedField) => boolean,
  hops = HOPS_MAX,
): fc.Arbitrary<Place> {
  const here = fieldsOf(studio, type).filter(fits);
  const ends: fc.Arbitrary<Place>[] =
    here.length === 0 ? [] : [fc.constantFrom(...here).map((field) => ({ path: field.name, type, field }))];
  const steps = fieldsOf(studio, type).flatMap((field) =>
    LINKS.has(DATA_TYPES[field.dataType].storage)
      ? field.validTypes.flatMap((to) => (studio.schema.types.has(to) ? [{ name: field.name, to }] : []))
      : [],
  );
  if (hops === 0 || steps.length === 0) {
    return (
      ends[0] ??
      fc.constant({
        path: 'id',
        type,
        field: { name: 'id', dataType: 'number', validTypes: [], absent: false },
      })
    );
  }
  const further = fc
    .constantFrom(...steps)
    .chain(({ name, to }) =>
      placeIn(studio, to, fits, hops - 1).map((place) => ({ ...place, path: `${name}.${to}.${place.path}` })),
    );
  return ends.length === 0
    ? further
    : fc.oneof({ weight: 2, arbitrary: ends[0] as fc.Arbitrary<Place> }, { weight: 1, arbitrary: further });
}

/** Values that the field really has, so that filters find something. */
function found(studio: Studio, { type, field }: Place): readonly Json[] {
  const values = (studio.rows.get(type) ?? []).flatMap((row) => {
    const value = row[field.name];
    if (value === null || value === undefined) return [];
    return Array.isArray(value) ? value : [value];
  });
  return values.length > 0 ? values.slice(0, 60) : [];
}

const ODD_TEXTS = ['', '%', '_', 'a', 'A', "'", '\\', '"', 'é', '0', ' '] as const;

function textLike(values: readonly Json[]): fc.Arbitrary<string> {
  const texts = values.filter((value) => typeof value === 'string');
  const odd = fc.constantFrom<string>(...ODD_TEXTS);
  if (texts.length === 0) return odd;
  const one = fc.constantFrom(...texts);
  return fc.oneof(
    one,
    one.map((text) => text.toUpperCase()),
    fc.tuple(one, fc.nat(8), fc.nat(8)).map(([text, from, length]) => text.slice(from, from + length)),
    odd,
  );
}

const refOf = (value: Json): Json => {
  const { type, id } = value as { readonly type: string; readonly id: number };
  return { type, id };
};

/** One value of the kind that a relation on a field compares with. */
function valueFor(studio: Studio, place: Place, dataType: DataType, relation: Relation): fc.Arbitrary<Json> {
  const values = found(studio, place);
  switch (dataType.family) {
    case 'number':
      return fc.oneof(
        fc.integer({ min: -10, max: 2_000 }),
        ...(values.length > 0 ? [fc.constantFrom(...values)] : []),
        fc.constantFrom<Json>(null, 0, 1.5),
      );
    case 'date':
    case 'date_time': {
      const at = fc
        .date({ min: new Date('2024-01-01'), max: new Date('2027-12-31'), noInvalidDate: true })
        .map((date) => date.toISOString());
      const day = at.map((text) => text.slice(0, 10));
      const own = values.length > 0 ? [fc.constantFrom(...values)] : [];
      return fc.oneof(day, ...own, fc.constant<Json>(null), ...(dataType.family === 'date' ? [] : [at]));
    }
    case 'checkbox':
      return fc.boolean();
    case 'link':
    case 'links': {
      if (relation.startsWith('type_'))
        return fc.oneof(fc.constantFrom<Json>(...studio.schema.types.keys()), fc.constant(null));
      const names = values.map((value) => (value as { readonly name?: Json }).name ?? null);
      if (relation.startsWith('name_')) return textLike(names);
      const other = fc.record({
        type: fc.constantFrom(...(place.field.validTypes.length > 0 ? place.field.validTypes : ['Shot'])),
        id: fc.integer({ min: 1, max: 400 }),
      });
      return fc.oneof(
        ...(values.length > 0 ? [{ weight: 4, arbitrary: fc.constantFrom(...values.map(refOf)) }] : []),
        { weight: 1, arbitrary: other },
        { weight: 1, arbitrary: fc.constant(null) },
      );
    }
    default:
      return fc.oneof(
        { weight: 5, arbitrary: textLike(values) },
        { weight: 1, arbitrary: fc.constant(null) },
      );
  }
}

const SPAN = fc.tuple(
  fc.integer({ min: 1, max: 40 }),
  fc.constantFrom('HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR'),
);

function valuesFor(
  studio: Studio,
  place: Place,
  dataType: DataType,
  relation: Relation,
): fc.Arbitrary<readonly Json[]> {
  if (/^(not_)?in_(last|next)$/.test(relation)) return SPAN;
  if (relation.startsWith('in_calendar_')) return fc.integer({ min: -14, max: 3 }).map((offset) => [offset]);
  const one = valueFor(studio, place, dataType, relation);
  if (relation === 'between' || relation === 'not_between') return fc.tuple(one, one);
  if (relation === 'in' || relation === 'not_in') return fc.array(one, { minLength: 1, maxLength: 4 });
  return fc.tuple(one);
}

function leaf(studio: Studio, type: string): fc.Arbitrary<Payload> {
  const filterable = (field: CachedField): boolean => DATA_TYPES[field.dataType].relations.length > 0;
  return placeIn(studio, type, filterable).chain((place) => {
    const dataType = DATA_TYPES[place.field.dataType];
    return fc.constantFrom(...dataType.relations).chain((relation) =>
      valuesFor(studio, place, dataType, relation).map((values) => ({
        path: place.path,
        relation,
        values,
      })),
    );
  });
}

function group(studio: Studio, type: string, depth: number): fc.Arbitrary<Payload> {
  const part =
    depth === 0
      ? leaf(studio, type)
      : fc.oneof(
          { weight: 4, arbitrary: leaf(studio, type) },
          { weight: 1, arbitrary: group(studio, type, depth - 1) },
        );
  return fc.record({
    logical_operator: fc.constantFrom('and', 'or'),
    conditions: fc.array(part, { maxLength: 3 }),
  });
}

/** Reads that the site answers, and now and then one that it refuses. */
export function randomRead(studio: Studio): fc.Arbitrary<Payload> {
  const types = [...studio.schema.types.keys()];
  return fc.constantFrom(...types).chain((type) => {
    const any = placeIn(studio, type, () => true).map(({ path }) => path);
    const sort = fc.record({ field_name: any, direction: fc.constantFrom('asc', 'desc') });
    const archived = studio.schema.types.get(type)?.fields.has('project') === true;
    return fc.record(
      {
        type: fc.constant(type),
        return_fields: fc.array(
          fc.oneof(
            { weight: 20, arbitrary: any },
            { weight: 1, arbitrary: fc.constantFrom('id', 'type', 'no_such_field') },
          ),
          {
            maxLength: 8,
          },
        ),
        filters: group(studio, type, 2),
        return_only: fc.oneof(
          { weight: 6, arbitrary: fc.constant('active') },
          { weight: 1, arbitrary: fc.constant('retired') },
        ),
        paging: fc.record({
          entities_per_page: fc.constantFrom(1, 3, 20, 500),
          current_page: fc.oneof(
            { weight: 5, arbitrary: fc.constant(1) },
            { weight: 1, arbitrary: fc.integer({ min: 2, max: 4 }) },
          ),
        }),
        sorts: fc.array(sort, { maxLength: 3 }),
        api_return_image_urls: fc.constant(true),
        return_paging_info_without_counts: fc.constant(true),
        ...(archived ? { include_archived_projects: fc.constant(false) } : {}),
      },
      {
        requiredKeys: ['type', 'return_fields', 'filters', 'return_only', 'paging', 'api_return_image_urls'],
      },
    );
  });
}
