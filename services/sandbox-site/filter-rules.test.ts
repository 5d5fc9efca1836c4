import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { calendarSpan, shift } from './filters/relative-time.ts';
import { parseSandboxYaml } from './sandbox-schema.ts';
import { type Fault, filtersOf, startTestSite } from './test-site.ts';

const YAML = await readFile(
  fileURLToPath(new URL('../../schema/sandbox-site.yaml', import.meta.url)),
  'utf8',
);
const site = await startTestSite({
  scale: 0,
  schema: parseSandboxYaml(`${YAML}
  CustomEntity30:
    code: text
    sg_text: text
    sg_number: number
    sg_float: float
    sg_date: date
    sg_date_time: date_time
    sg_checkbox: checkbox
    sg_list: list
    sg_entity_type: entity_type
    sg_color: color
    sg_uuid: uuid
    sg_self: {entity: [CustomEntity30, Shot]}
    sg_many: {multi_entity: [CustomEntity30, Shot]}
    sg_pivot: pivot_column
    sg_url: url
`),
});

const TYPE = 'CustomEntity30';
const link = (id: number, type = TYPE): object => ({ type, id });
const full = (await site.create(TYPE, { code: 'full' })).id;
const none = (await site.create(TYPE, { code: 'none' })).id;
const gone = (await site.create(TYPE, { code: 'gone' })).id;
await site.update(TYPE, full, {
  sg_text: 'Sh_010',
  sg_number: 0,
  sg_float: 1.5,
  sg_date: '2024-02-29',
  sg_date_time: '2024-02-29T00:00:00Z',
  sg_checkbox: true,
  sg_list: 'Alpha',
  sg_entity_type: 'Shot',
  sg_color: '255,0,0',
  sg_self: link(full),
  sg_many: [link(full), link(gone)],
});
await site.call('delete', link(gone));
const UUID = String((await site.find(TYPE, [['id', 'is', full]], ['sg_uuid']))[0]?.['sg_uuid']);

const codes = async (path: string, relation: string, ...values: unknown[]): Promise<string> => {
  const rows = await site.find(TYPE, [[path, relation, ...values]], ['code']);
  return rows.map((row) => row['code']).join(' ');
};

test('negative operators match null too, positive ones never, is null asks for what is unset', async () => {
  const asked: readonly (readonly [path: string, positive: string, negative: string, ...unknown[]])[] = [
    ['sg_text', 'is', 'is_not', 'sH_010'],
    ['sg_text', 'in', 'not_in', 'x', 'SH_010'],
    ['sg_text', 'contains', 'not_contains', 'h_0'],
    ['sg_number', 'is', 'is_not', 0],
    ['sg_number', 'in', 'not_in', 0, 7],
    ['sg_date', 'is', 'is_not', '2024-02-29'],
    ['sg_date', 'in_last', 'not_in_last', 1_000, 'YEAR'],
    ['sg_date_time', 'is', 'is_not', '2024-02-29'],
    ['sg_date_time', 'in_last', 'not_in_last', 1_000, 'YEAR'],
    ['sg_list', 'is', 'is_not', 'ALPHA'],
    ['sg_entity_type', 'is', 'is_not', 'Shot'],
    ['sg_color', 'in', 'not_in', '255,0,0'],
    ['sg_uuid', 'is', 'is_not', UUID.toUpperCase()],
    ['sg_self', 'is', 'is_not', { ...link(full), name: 'another' }],
    ['sg_self', 'in', 'not_in', link(full), link(none)],
    ['sg_self', 'type_is', 'type_is_not', TYPE],
    ['sg_self', 'name_contains', 'name_not_contains', 'UL'],
    ['sg_many', 'is', 'is_not', link(full)],
    ['sg_many', 'in', 'not_in', link(none), link(full)],
    ['sg_many', 'type_is', 'type_is_not', TYPE],
    ['sg_many', 'name_contains', 'name_not_contains', 'ful'],
    // Through a link that is null as through a left join, through a list "no linked row has".
    [`sg_self.${TYPE}.sg_number`, 'is', 'is_not', 0],
    [`sg_many.${TYPE}.sg_text`, 'contains', 'not_contains', '010'],
    [`sg_many.${TYPE}.sg_self.${TYPE}.sg_many`, 'is', 'is_not', link(full)],
  ];
  for (const [path, positive, negative, ...values] of asked) {
    assert.equal(await codes(path, positive, ...values), 'full', `${path} ${positive}`);
    assert.equal(await codes(path, negative, ...values), 'none', `${path} ${negative}`);
  }
  for (const path of [
    'sg_text',
    'sg_number',
    'sg_float',
    'sg_date',
    'sg_date_time',
    'sg_list',
    'sg_color',
    'sg_self',
    'sg_many',
  ]) {
    assert.equal(await codes(path, 'is', null), 'none', path);
    assert.equal(await codes(path, 'is_not', null), 'full', path);
  }
  assert.equal(await codes('sg_text', 'is', ''), 'none');
  assert.equal(await codes(`sg_self.${TYPE}.sg_uuid`, 'is', ''), 'none');
  assert.equal(await codes('sg_checkbox', 'is', false), 'none');
});

test('what matches nothing', async () => {
  for (const [path, relation, ...values] of [
    ['sg_text', 'contains', 'h%0'],
    ['sg_text', 'starts_with', '_h'],
    ['sg_number', 'less_than', 0],
    ['sg_number', 'between', 5, -5],
    ['sg_number', 'between', null, 5],
    ['sg_date', 'between', null, '2030-01-01'],
    ['sg_date_time', 'is', '2024-02-29T00:00:01Z'],
    ['sg_date', 'in_next', 1, 'YEAR'],
    ['sg_list', 'is', 'no such'],
    ['sg_entity_type', 'is', 'shot'],
    ['sg_self', 'is', link(full, 'Shot')],
    ['sg_many', 'is', link(gone)],
    ['sg_many', 'in', link(999_999)],
    ['sg_many', 'name_is', 'gone'],
    ['sg_self.Shot.code', 'is', 'full'],
    [`sg_many.${TYPE}.code`, 'is', 'gone'],
  ] as const)
    assert.equal(await codes(path, relation, ...values), '', `${path} ${relation}`);
  assert.equal(await codes('sg_date', 'between', '2030-01-01', '2020-01-01'), 'full');
});

test('what is refused, in the words of the site', async () => {
  const many = `sg_many.${TYPE}`;
  const refused: readonly (readonly [message: RegExp, path: string, relation: string, ...unknown[]])[] = [
    [/^API read\(\) CustomEntity30\.nope doesn't exist\.$/, 'nope', 'is', 1],
    [/^API read\(\) CustomEntity30\.sg_self\.Shot\.nope doesn't exist\.$/, 'sg_self.Shot.nope', 'is', 1],
    [/^API read\(\) CustomEntity30\.sg_many\.Shot doesn't exist\.$/, 'sg_many.Shot', 'is', 1],
    [/^API read\(\) CustomEntity30\.sg_self\.No\.code doesn't exist\.$/, 'sg_self.No.code', 'is', 1],
    [/30\.sg_text's 'text' data type doesn't support 'between' 'relation'/, 'sg_text', 'between', 'a', 'b'],
    // An operator that the field lacks is lacking through a list of links too, under its own name.
    [/'float' data type doesn't support 'not_between' 'relation'/, 'sg_float', 'not_between', 1, 2],
    [/'float' data type doesn't support 'not_between' 'relation'/, `${many}.sg_float`, 'not_between', 1, 2],
    [/'date' data type doesn't support 'not_between'/, `${many}.sg_date`, 'not_between', null, null],
    [/'text' data type doesn't support 'type_is_not' 'relation'/, `${many}.sg_text`, 'type_is_not', 'x'],
    [/sg_url's 'url' data type cannot be used in a filter\.$/, 'sg_url', 'is', null],
    [/expected \[Integer, NilClass\] data type\(s\) but got String: "x"/, 'sg_number', 'is', 'x'],
    [/'is' 'relation' expects a 1-element array: \[1,2\]/, 'sg_number', 'is', 1, 2],
    [/'in' 'relation' expects at least a 1-element array: \[\]/, 'id', 'in'],
    [/but got NilClass/, 'sg_text', 'in', null],
    [/but got Array/, 'sg_number', 'in', [1]],
    [/but got NilClass/, 'sg_checkbox', 'is', null],
    [/but got NilClass/, 'sg_uuid', 'is', null],
    [/no-uuid/, 'sg_uuid', 'is', 'no-uuid'],
    [/no-uuid/, 'sg_uuid', 'not_in', UUID, 'no-uuid'],
    [/but got NilClass/, 'sg_self', 'name_is', null],
    [
      /invalid\/missing entity hash string 'type': \{"id":1\} Valid entity types: \["CustomEntity30","Shot"\]/,
      'sg_self',
      'is',
      { id: 1 },
    ],
    [/invalid\/missing entity hash/, 'sg_many', 'in', 1],
    [/2024-02-30/, 'sg_date', 'is', '2024-02-30'],
    [/2024-01-01T24:00:00Z/, 'sg_date_time', 'less_than', '2024-01-01T24:00:00Z'],
    [/2024-01-01T00:00:00Z/, 'sg_date', 'is', '2024-01-01T00:00:00Z'],
    [/expects a 2-element array/, 'sg_date', 'in_last', 1],
    [/doesn't support the 'day' time unit/, 'sg_date', 'in_last', 1, 'day'],
    [/positive integer/, 'sg_date', 'in_next', 0, 'DAY'],
  ];
  for (const [message, path, relation, ...values] of refused)
    await assert.rejects(
      codes(path, relation, ...values),
      (error: Fault) => error.code === 103 && message.test(error.message),
      `${path} ${relation}`,
    );
});

test('a sort by a uuid or a pivot column is refused, one by what cannot be sorted otherwise ignored', async () => {
  const sortedBy = (field_name: string): Promise<unknown> =>
    site.find(TYPE, [], ['id'], { sorts: [{ field_name, direction: 'desc' }] });
  for (const path of ['sg_uuid', 'sg_pivot', `sg_self.${TYPE}.sg_uuid`])
    await assert.rejects(sortedBy(path), (error: Fault) => error.code === 103, path);
  for (const path of ['sg_url', 'no_such'])
    assert.deepEqual(await sortedBy(path), await site.find(TYPE, []), path);
});

test('an empty group matches everything, nested and under or; keys that the site does not know are let be', async () => {
  const all = (await site.find(TYPE, [])).length;
  const empty = { logical_operator: 'or', conditions: [] };
  const nothing = { path: 'id', relation: 'is', values: [999_999] };
  for (const [filters, count] of [
    [empty, all],
    [{ logical_operator: 'or', conditions: [nothing, empty], filter_name: 'mine' }, all],
    [{ logical_operator: 'and', conditions: [nothing, empty] }, 0],
    [{ ...filtersOf([]), filter_name: 'mine' }, all],
  ] as const)
    assert.equal((await site.find(TYPE, [], ['id'], { filters })).length, count);
  await assert.rejects(
    site.find(TYPE, [], ['id'], { filters: { logical_operator: 'AND', conditions: [] } }),
    /^Error: Invalid logical operator: AND$/,
  );
});

test('spans of months and years keep the day where they can', () => {
  const at = (text: string): Date => new Date(text);
  for (const [from, count, unit, to] of [
    ['2024-03-31T10:00:00.000Z', -1, 'MONTH', '2024-02-29T10:00:00.000Z'],
    ['2023-03-31T10:00:00.000Z', -1, 'MONTH', '2023-02-28T10:00:00.000Z'],
    ['2024-02-29T10:00:00.000Z', -1, 'YEAR', '2023-02-28T10:00:00.000Z'],
    ['2024-02-29T10:00:00.000Z', 4, 'YEAR', '2028-02-29T10:00:00.000Z'],
    ['2025-10-31T10:00:00.000Z', 4, 'MONTH', '2026-02-28T10:00:00.000Z'],
    ['2026-03-29T00:30:00.000Z', 2, 'HOUR', '2026-03-29T02:30:00.000Z'],
    ['2025-12-31T23:30:00.000Z', 1, 'HOUR', '2026-01-01T00:30:00.000Z'],
    ['2025-01-01T00:00:00.000Z', -1, 'WEEK', '2024-12-25T00:00:00.000Z'],
  ] as const)
    assert.equal(shift(at(from), count, unit).toISOString(), to);
});

test('calendar spans, across years and in years of two digits', () => {
  for (const [now, unit, offset, from, to] of [
    ['2026-03-31T23:59:59Z', 'month', -1, '2026-02-01', '2026-03-01'],
    ['2026-01-01T00:00:00Z', 'month', -1, '2025-12-01', '2026-01-01'],
    ['2026-01-01T00:00:00Z', 'day', -1, '2025-12-31', '2026-01-01'],
    ['2027-01-01T00:00:00Z', 'week', 0, '2026-12-28', '2027-01-04'],
    ['2026-11-29T23:59:59Z', 'week', 0, '2026-11-23', '2026-11-30'],
    ['2024-02-29T12:00:00Z', 'year', 1, '2025-01-01', '2026-01-01'],
    ['2026-11-26T00:00:00Z', 'year', -1_977, '0049-01-01', '0050-01-01'],
  ] as const) {
    const span = calendarSpan(new Date(now), unit, offset).map((date) => date.toISOString().slice(0, 10));
    assert.deepEqual(span, [from, to], `${now} ${unit} ${offset}`);
  }
});
