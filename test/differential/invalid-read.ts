import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import fc from 'fast-check';
import { filterPath, randomRead, randomType } from './random-read.ts';
import { fieldsOf, type Studio } from './studio.ts';

const RELATIONS = [...new Set(Object.values(DATA_TYPES).flatMap((dataType) => dataType.relations))];
const ODD_RELATIONS = [
  '',
  'IS',
  'like',
  '=',
  'constructor',
  '__proto__',
  'in_calendar_century',
  'hasOwnProperty',
];
const ODD_VALUES = [
  null,
  true,
  0,
  -1,
  1.5,
  'text',
  '',
  '2024-02-30',
  '0000-01-01',
  '2024-01-01T25:00:00Z',
  [],
  {},
  { type: 'Shot' },
  { id: 1 },
  { type: 'Shot', id: '1' },
  { type: 7, id: 1 },
  { type: 'NoSuch', id: 1 },
  [1, 2],
] as const;

/** Leaves of which most are none that the site takes. */
function oddLeaf(studio: Studio, type: string): fc.Arbitrary<unknown> {
  const names = fieldsOf(studio, type).map((field) => field.name);
  const name = fc.constantFrom('id', ...names);
  const value = fc.constantFrom<unknown>(...ODD_VALUES);
  return fc.oneof(
    fc.record({
      path: name,
      relation: fc.constantFrom(...RELATIONS, ...ODD_RELATIONS),
      values: fc.array(value, { maxLength: 3 }),
    }),
    fc.record({
      path: filterPath(studio, type),
      relation: fc.constantFrom(...RELATIONS, ...ODD_RELATIONS),
      values: fc.array(value, { minLength: 1, maxLength: 2 }),
    }),
    fc.record({
      path: fc.oneof(
        fc.constantFrom(
          '',
          '.',
          '..',
          'no_such',
          '$FROM$Task.entity.content',
          '$FROM$Shot.project',
          '__proto__',
          'constructor',
          "id'; --",
        ),
        name.map((field) => `${field}.`),
        name.map((field) => `${field}.Shot`),
        name.map((field) => `${field}.NoSuch.code`),
        name.map((field) => `${field}.Shot.no_such`),
      ),
      relation: fc.constantFrom('is', 'is_not'),
      values: fc.constantFrom(['x'], [null], [1]),
    }),
    fc.constantFrom<unknown>(
      null,
      7,
      'text',
      [],
      {},
      { path: 'id' },
      { path: 'id', relation: 'is' },
      { path: 'id', relation: 'is', values: 1 },
      { path: 'id', relation: 'is', values: {} },
      { path: ['id'], relation: 'is', values: [1] },
      { path: 'id', relation: 7, values: [1] },
      { path: 'id', relation: 'is', values: [1], logical_operator: 'and' },
      { path: 'id', relation: 'is', values: [1], conditions: null },
      { path: 'id', relation: 'in', values: [] },
      { path: 'id', relation: 'in', values: [[1, 2]] },
      { path: 'id', relation: 'not_in', values: [] },
      { path: 'id', relation: 'is', values: [2 ** 53] },
      { logical_operator: 'and' },
      { conditions: [] },
      { logical_operator: 'AND', conditions: [] },
      { logical_operator: 'xor', conditions: [] },
      { logical_operator: ['and'], conditions: [] },
      { logical_operator: 'and', conditions: {} },
      { logical_operator: 'or', conditions: [null] },
    ),
  );
}

const ODD_PAGING = [
  null,
  7,
  [],
  {},
  { entities_per_page: 0, current_page: 1 },
  { entities_per_page: -1, current_page: 1 },
  { entities_per_page: '5', current_page: 1 },
  { entities_per_page: 1.5, current_page: 1 },
  { entities_per_page: 5, current_page: 0 },
  { entities_per_page: 5, current_page: null },
  { entities_per_page: 5 },
] as const;

/** Reads that the site refuses, most of them: one part of a good read is spoilt. */
export function invalidRead(studio: Studio): fc.Arbitrary<unknown> {
  return fc.tuple(randomType(studio), randomRead(studio)).chain(([type, good]) => {
    const filters = oddLeaf(studio, type).chain((leaf) =>
      fc.constantFrom<unknown>(leaf, { logical_operator: 'and', conditions: [leaf] }),
    );
    const spoilt = (part: string, values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
      values.map((value) => ({ ...good, [part]: value }));
    return fc.oneof(
      {
        weight: 8,
        arbitrary: filters.map((filter): unknown => ({ ...good, type, sorts: [], filters: filter })),
      },
      { weight: 1, arbitrary: spoilt('paging', fc.constantFrom<unknown>(...ODD_PAGING)) },
      {
        weight: 1,
        arbitrary: spoilt('return_only', fc.constantFrom<unknown>('both', '', null, 7, ['active'])),
      },
      {
        weight: 1,
        arbitrary: spoilt(
          'return_fields',
          fc.constantFrom<unknown>(null, 'code', [7], [null], {}, [['code']]),
        ),
      },
      {
        weight: 1,
        arbitrary: spoilt(
          'type',
          fc.constantFrom<unknown>(null, 7, '', 'NoSuch', 'shot', '__proto__', 'constructor', ['Shot'], {}),
        ),
      },
      {
        weight: 1,
        arbitrary: spoilt('sorts', fc.constantFrom<unknown>(null, 7, {}, [null], [{}], ['code'])),
      },
      { weight: 1, arbitrary: spoilt('additional_filter_presets', fc.constantFrom<unknown>([], null, 7)) },
      { weight: 1, arbitrary: fc.constantFrom<unknown>(null, [], 7, 'text', {}) },
    );
  });
}
