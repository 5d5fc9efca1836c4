import type { DataType, Relation } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { EntityRow, Json } from '@understudy/domain/entity';
import type { CachedField } from '@understudy/schema/cached-schema';
import fc from 'fast-check';
import { askedText } from './hostile-text.ts';
import { listedFilter } from './listed-filter.ts';
import { linkForms, ODD_NUMBERS, otherLinks, timeForms } from './odd-values.ts';
import { fieldsOf, type Studio, valuesAt } from './studio.ts';

export type Payload = Readonly<Record<string, unknown>>;

/** Hops through links before the field; deeper ones add no new kind of statement. */
const HOPS_MAX = 3;
/** How often a filter asks for what a chosen row really holds, so that answers are not empty, in parts. */
const TRUE_WEIGHT = 4;
const OTHER_WEIGHT = 1;
/** How often a filter keeps to what the schema allows. */
const ALLOWED_WEIGHT = 30;
const LINKS: ReadonlySet<string> = new Set(['link', 'links']);
/** What a sort may lead through. */
const SINGLE_LINKS: ReadonlySet<string> = new Set(['link']);
const ID: CachedField = { name: 'id', dataType: 'number', validTypes: [], absent: false };

interface Place {
  readonly path: string;
  readonly type: string;
  readonly field: CachedField;
}

/** A path of some hops from a type to a field for which `fits` holds. */
function placeIn(
  studio: Studio,
  type: string,
  fits: (field: CachedField) => boolean,
  links: ReadonlySet<string> = LINKS,
  hops = HOPS_MAX,
): fc.Arbitrary<Place> {
  const here = [ID, ...fieldsOf(studio, type)].filter(fits);
  const end = fc
    .constantFrom(...(here.length > 0 ? here : [ID]))
    .map((field): Place => ({ path: field.name, type, field }));
  const linking = fieldsOf(studio, type).filter((field) => links.has(DATA_TYPES[field.dataType].storage));
  const steps = linking.flatMap(({ name, validTypes }) =>
    validTypes.flatMap((to) => (studio.schema.types.has(to) ? [{ name, to }] : [])),
  );
  if (hops === 0 || steps.length === 0) return end;
  // Now and then through a type that the field does not allow.
  const odd = fc.record({
    name: fc.constantFrom(...linking.map(({ name }) => name)),
    to: fc.constantFrom(...studio.schema.types.keys()),
  });
  const step = fc.oneof(
    { weight: ALLOWED_WEIGHT, arbitrary: fc.constantFrom(...steps) },
    { weight: 1, arbitrary: odd },
  );
  const further = step.chain(({ name, to }) =>
    placeIn(studio, to, fits, links, hops - 1).map((place) => ({
      ...place,
      path: `${name}.${to}.${place.path}`,
    })),
  );
  return fc.oneof({ weight: 2, arbitrary: end }, { weight: 1, arbitrary: further });
}

/** Values that the field really has in some rows. */
function found(studio: Studio, { type, field }: Place): readonly Json[] {
  return (studio.active.get(type) ?? []).slice(0, 60).flatMap((row) => valuesAt(studio, row, field.name));
}

/** Text in which a text may be found by a relation, in whatever case. */
function textLike(text: string, relation: Relation): fc.Arbitrary<string> {
  const characters = [...text];
  const cut = fc.tuple(fc.nat(characters.length), fc.nat(characters.length)).map(([a, b]) => {
    const [from, to] = [Math.min(a, b), Math.max(a, b)];
    if (relation.endsWith('contains')) return characters.slice(from, to).join('');
    if (relation.endsWith('starts_with')) return characters.slice(0, to).join('');
    if (relation.endsWith('ends_with')) return characters.slice(from).join('');
    return text;
  });
  return fc.oneof(
    cut,
    cut.map((part) => part.toUpperCase()),
    cut.map((part) => part.toLowerCase()),
  );
}

/** One value for a relation on a field; made from one of `values` where there are any. */
function valueFor(
  studio: Studio,
  place: Place,
  dataType: DataType,
  relation: Relation,
  values: readonly Json[],
): fc.Arbitrary<Json> {
  const pool = values.length > 0 ? fc.constantFrom(...values) : null;
  const nothing = { weight: 1, arbitrary: fc.constant<Json>(null) };
  const texts = (): fc.Arbitrary<Json> => {
    const known = values.flatMap((value) => {
      const text = typeof value === 'string' ? value : (value as { readonly name?: Json } | null)?.name;
      return typeof text === 'string' ? [text] : [];
    });
    if (known.length === 0) return askedText;
    const like = fc.constantFrom(...known).chain((text) => textLike(text, relation));
    return fc.oneof({ weight: 5, arbitrary: like }, { weight: 1, arbitrary: askedText });
  };
  switch (dataType.family) {
    case 'number': {
      if (dataType.name === 'footage') return fc.constantFrom<Json>('12-05', 1, null);
      const near = (pool ?? fc.integer({ min: -10, max: 2_000 })).chain((value) =>
        fc.constantFrom<Json>(value, Number(value) + 1, Number(value) - 1),
      );
      return fc.oneof(
        { weight: 8, arbitrary: near },
        { weight: 1, arbitrary: fc.constantFrom<Json>(...ODD_NUMBERS) },
        nothing,
      );
    }
    case 'date':
    case 'date_time': {
      const isDate = dataType.family === 'date';
      const random = fc
        .date({ min: new Date('0001-01-01'), max: new Date('2999-12-31'), noInvalidDate: true })
        .map((date) => date.toISOString());
      const near = (pool ?? random).chain((value) => {
        const moment = Date.parse(String(value));
        return fc
          .constantFrom(0, 1_000, -1_000, 86_400_000, -86_400_000)
          .map((step) => new Date(moment + step).toISOString());
      });
      const at = fc.oneof({ weight: 5, arbitrary: near }, { weight: 1, arbitrary: random });
      const day = at.map((text) => text.slice(0, 10));
      return fc.oneof(
        { weight: 4, arbitrary: day },
        { weight: isDate ? 0 : 4, arbitrary: timeForms(at) },
        nothing,
      );
    }
    case 'checkbox':
      return fc.boolean();
    case 'link':
    case 'links': {
      if (relation.startsWith('type_'))
        return fc.oneof(
          {
            weight: 4,
            arbitrary: pool?.map((value) => (value as { readonly type: string }).type) ?? fc.constant('Shot'),
          },
          { weight: 1, arbitrary: fc.constantFrom<Json>(...studio.schema.types.keys(), 'NoSuchType') },
          nothing,
        );
      if (relation.startsWith('name_') || relation.includes('contains')) return texts();
      const other = otherLinks(studio, place.field);
      return fc.oneof(
        { weight: pool === null ? 0 : 6, arbitrary: (pool ?? other).chain(linkForms) },
        { weight: 1, arbitrary: other },
        nothing,
      );
    }
    case 'uuid':
      return fc.oneof(
        { weight: 3, arbitrary: pool ?? fc.uuid() },
        { weight: 1, arbitrary: (pool ?? fc.uuid()).map((value) => String(value).toUpperCase()) },
        { weight: 1, arbitrary: fc.uuid() },
        { weight: 1, arbitrary: fc.constantFrom<Json>('', 'no-uuid') },
      );
    case 'image':
      return fc.constant(null);
    case 'text':
      return /^is/.test(relation) ? fc.oneof({ weight: 8, arbitrary: texts() }, nothing) : texts();
    default:
      return fc.oneof({ weight: 8, arbitrary: texts() }, nothing);
  }
}

const SPAN = fc.tuple(
  fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 40 }) },
    { weight: 4, arbitrary: fc.constantFrom(1, 2, 12, 23, 24) },
    { weight: 1, arbitrary: fc.constantFrom(300, 2_000, Number.MAX_SAFE_INTEGER) },
  ),
  fc.constantFrom('HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR'),
);
const IN_MAX = 4;
const EVERY_RELATION = [...new Set(Object.values(DATA_TYPES).flatMap((dataType) => dataType.relations))];

function valuesFor(
  studio: Studio,
  place: Place,
  relation: Relation,
  pool: readonly Json[],
): fc.Arbitrary<readonly Json[]> {
  if (/^(not_)?in_(last|next)$/.test(relation)) return SPAN;
  if (relation.startsWith('in_calendar_'))
    return fc
      .oneof(fc.constantFrom(0, 0, -1, 1), fc.integer({ min: -40, max: 12 }))
      .map((offset) => [offset]);
  const dataType = DATA_TYPES[place.field.dataType];
  const one = valueFor(studio, place, dataType, relation, pool);
  if (relation === 'between' || relation === 'not_between') return fc.tuple(one, one);
  if (relation === 'in' || relation === 'not_in') return fc.array(one, { minLength: 1, maxLength: IN_MAX });
  return fc.tuple(one);
}

/** A leaf that `row` often satisfies. */
function leaf(studio: Studio, type: string, row: EntityRow | undefined): fc.Arbitrary<Payload> {
  const filterable = (field: CachedField): boolean => DATA_TYPES[field.dataType].relations.length > 0;
  return placeIn(studio, type, filterable).chain((place) => {
    const dataType = DATA_TYPES[place.field.dataType];
    const own = row === undefined ? [] : valuesAt(studio, row, place.path);
    return fc
      .tuple(
        fc.oneof(
          { weight: ALLOWED_WEIGHT, arbitrary: fc.constantFrom(...dataType.relations) },
          { weight: 1, arbitrary: fc.constantFrom(...EVERY_RELATION) },
        ),
        fc.oneof(
          { weight: own.length > 0 ? TRUE_WEIGHT : 0, arbitrary: fc.constant(own) },
          { weight: OTHER_WEIGHT, arbitrary: fc.constant(null) },
        ),
      )
      .chain(([relation, values]) =>
        valuesFor(studio, place, relation, values ?? found(studio, place)).map((chosen) => ({
          path: place.path,
          relation,
          values: chosen,
        })),
      );
  });
}

function group(
  studio: Studio,
  type: string,
  row: EntityRow | undefined,
  depth: number,
): fc.Arbitrary<Payload> {
  const one = leaf(studio, type, row);
  const part =
    depth === 0
      ? one
      : fc.oneof(
          { weight: 4, arbitrary: one },
          { weight: 1, arbitrary: group(studio, type, row, depth - 1) },
        );
  return fc.record(
    {
      logical_operator: fc.constantFrom('and', 'or'),
      conditions: fc.array(part, { maxLength: 3 }),
      filter_name: fc.constant('sites let be what they do not know'),
    },
    { requiredKeys: ['logical_operator', 'conditions'] },
  );
}

/** Names that no entity type has, or that lead nowhere: the site leaves them out. */
function oddFields(studio: Studio, type: string): fc.Arbitrary<string> {
  const names = fieldsOf(studio, type).map((field) => field.name);
  const name = fc.constantFrom('id', ...names);
  return fc.oneof(
    fc.constantFrom('id', 'type', 'no_such_field', '__proto__', 'constructor', '*', '', 'a..b', "x'y"),
    name.map((field) => `${field}.Shot`),
    name.map((field) => `${field}.Shot.code`),
    name.map((field) => `${field}.NoSuchType.code`),
  );
}

/** A random filter for a type, much of which some row of the type satisfies. */
export function randomFilter(
  studio: Studio,
  type: string,
  rows: readonly EntityRow[],
): fc.Arbitrary<Payload> {
  const row = rows.length === 0 ? fc.constant(undefined) : fc.constantFrom(...rows);
  return row.chain((chosen) => group(studio, type, chosen, 2));
}

/** A path to any field but pictures, whose addresses differ by who answers. */
export function randomPath(studio: Studio, type: string): fc.Arbitrary<string> {
  return placeIn(studio, type, (field) => field.dataType !== 'image').map(({ path }) => path);
}

/** A path that a filter may have, through lists of links too. */
export function filterPath(studio: Studio, type: string): fc.Arbitrary<string> {
  return placeIn(studio, type, ({ dataType }) => DATA_TYPES[dataType].relations.length > 0).map(
    ({ path }) => path,
  );
}

/** Types, those with rows more often. */
export function randomType(studio: Studio): fc.Arbitrary<string> {
  const types = [...studio.schema.types.keys()];
  const filled = types.filter((type) => (studio.active.get(type) ?? []).length > 0);
  if (filled.length === 0) return fc.constantFrom(...types);
  return fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...filled) },
    { weight: 1, arbitrary: fc.constantFrom(...types) },
  );
}

/** Whether rows of archived projects are wanted; seldom asked of types without a project. */
function withArchived(studio: Studio, type: string): fc.Arbitrary<boolean> {
  const hasProject = studio.schema.types.get(type)?.fields.has('project') === true;
  return fc.oneof(
    { weight: hasProject ? 7 : 1, arbitrary: fc.constant(false) },
    { weight: hasProject ? 1 : 30, arbitrary: fc.constant(true) },
  );
}

/** Reads that the site answers, and now and then one that it refuses. */
export function randomRead(studio: Studio): fc.Arbitrary<Payload> {
  return fc
    .tuple(
      randomType(studio),
      fc.oneof(
        { weight: 6, arbitrary: fc.constant('active' as const) },
        { weight: 1, arbitrary: fc.constant('retired' as const) },
      ),
    )
    .chain(([type, returnOnly]) => {
      const rows = studio[returnOnly].get(type) ?? [];
      const any = randomPath(studio, type);
      const sortable = placeIn(
        studio,
        type,
        (field) => DATA_TYPES[field.dataType].sortable,
        SINGLE_LINKS,
      ).map(({ path }) => path);
      const sort = fc.record({
        field_name: fc.oneof({ weight: 20, arbitrary: sortable }, { weight: 1, arbitrary: any }),
        direction: fc.constantFrom('asc', 'desc'),
      });
      const filter = randomFilter(studio, type, rows);
      const listed = listedFilter(studio, type, rows, filter);
      return fc.record(
        {
          type: fc.constant(type),
          return_fields: fc.array(
            fc.oneof({ weight: 60, arbitrary: any }, { weight: 1, arbitrary: oddFields(studio, type) }),
            { maxLength: 8 },
          ),
          filters:
            listed === null
              ? filter
              : fc.oneof({ weight: 5, arbitrary: filter }, { weight: 1, arbitrary: listed }),
          return_only: fc.constant(returnOnly),
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
          return_paging_info: fc.constant(true),
          include_archived_projects: withArchived(studio, type),
          pragmas: fc.constant({ unknown: 'keys are ignored' }),
        },
        {
          requiredKeys: [
            'type',
            'return_fields',
            'filters',
            'return_only',
            'paging',
            'api_return_image_urls',
            'return_paging_info_without_counts',
          ],
        },
      );
    });
}

const SUMMARY_TYPES = ['count', 'sum', 'maximum', 'minimum', 'earliest', 'latest'] as const;
/** The site's own to make. */
const OTHER_SUMMARY_TYPES = [
  'record_count',
  'average',
  'checked',
  'unchecked',
  'percentage',
  'status_list',
  'status_percentage',
  'no_such',
] as const;
const INTEGERS = ['number', 'percent', 'duration', 'timecode'] as const;

/** Data types that a type of summary is for, where it is not for all. */
const SUMMARY_FITS: Readonly<Record<string, readonly string[]>> = {
  sum: INTEGERS,
  maximum: [...INTEGERS, 'float', 'currency'],
  minimum: [...INTEGERS, 'float', 'currency'],
  average: INTEGERS,
  earliest: ['date', 'date_time'],
  latest: ['date', 'date_time'],
  checked: ['checkbox'],
  unchecked: ['checkbox'],
  percentage: ['checkbox'],
  status_list: ['status_list'],
  status_percentage: ['status_list'],
};
/** What has no value that summaries count here. */
const UNCOUNTED: ReadonlySet<string> = new Set(['image', 'jsonb', 'serializable', 'tag_list', 'url']);
const GROUPED = ['text', 'list', 'entity_type', 'number', 'entity'];

/** Summaries, most of which the site makes. */
export function randomSummarize(studio: Studio): fc.Arbitrary<Payload> {
  return randomType(studio).chain((type) => {
    const summary = fc
      .oneof(
        { weight: ALLOWED_WEIGHT, arbitrary: fc.constantFrom<string>(...SUMMARY_TYPES) },
        { weight: 1, arbitrary: fc.constantFrom<string>(...OTHER_SUMMARY_TYPES) },
      )
      .chain((kind) =>
        placeIn(
          studio,
          type,
          ({ dataType }) => SUMMARY_FITS[kind]?.includes(dataType) ?? !UNCOUNTED.has(dataType),
          SINGLE_LINKS,
          2,
        ).map(({ path }) => ({ field: path, type: kind })),
      );
    const grouping = placeIn(
      studio,
      type,
      ({ dataType }) => GROUPED.includes(dataType),
      SINGLE_LINKS,
      2,
    ).chain(({ path }) =>
      fc.record(
        {
          field: fc.constant(path),
          type: fc.oneof(
            { weight: 12, arbitrary: fc.constant('exact') },
            { weight: 1, arbitrary: fc.constantFrom('month', 'tens', 'firstletter', 'no_such') },
          ),
          direction: fc.constantFrom('asc', 'desc'),
        },
        { requiredKeys: ['field', 'type'] },
      ),
    );
    return fc.record(
      {
        type: fc.constant(type),
        summaries: fc.array(summary, { minLength: 1, maxLength: 4 }),
        filters: fc.oneof(
          { weight: 1, arbitrary: randomFilter(studio, type, studio.active.get(type) ?? []) },
          { weight: 1, arbitrary: fc.constant({ logical_operator: 'and', conditions: [] }) },
        ),
        grouping: fc.array(grouping, { minLength: 1, maxLength: 3 }),
        include_archived_projects: withArchived(studio, type),
      },
      { requiredKeys: ['type', 'summaries', 'filters'] },
    );
  });
}
