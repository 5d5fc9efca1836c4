import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { compileRead } from './compile-read.ts';
import { compileSummarize } from './compile-summarize.ts';
import { boundAt } from './sql.ts';

const schema = parseCachedSchema(`
types:
  Shot:
    code: text
    sg_list: list
    sg_cut_in: number
    sg_speed: float
    sg_kind: system_task_type
    updated_at: date_time
    project: {entity: [Project]}
    shots: {multi_entity: [Shot]}
    sg_description: text
    parent: {entity: [Shot]}
    gone: absent
  Project:
    name: text
    archived: checkbox
`);
const context = { schema, servedTypes: new Set(schema.types.keys()) };

interface Leaf {
  readonly path: string;
  readonly relation: string;
  readonly values: readonly unknown[];
}

const read = (filters: unknown, more: object = {}): unknown => ({
  type: 'Shot',
  return_fields: ['code'],
  filters,
  paging: { entities_per_page: 10, current_page: 1 },
  ...more,
});
const all = (...conditions: readonly unknown[]): unknown => ({ logical_operator: 'and', conditions });
const leaf = (path: string, relation: string, ...values: readonly unknown[]): Leaf => ({
  path,
  relation,
  values,
});

function reasonOf(payload: unknown): string | null {
  const compiled = compileRead(payload, context);
  return 'passThrough' in compiled ? compiled.passThrough : null;
}

test('filters are bounded in depth, size, values, links and length of paths', () => {
  let deep: unknown = all();
  for (let level = 0; level < 10_000; level += 1) deep = all(deep);
  assert.equal(reasonOf(read(deep)), 'filter too large');
  const id = leaf('id', 'is', 1);
  assert.equal(reasonOf(read(all(...Array<Leaf>(500).fill(id)))), null);
  assert.equal(reasonOf(read(all(...Array<Leaf>(5_000).fill(id)))), 'filter too large');
  const many = (count: number): Leaf =>
    leaf('code', 'in', ...Array.from({ length: count }, (_, n) => `sh_${n}`));
  assert.equal(reasonOf(read(all(many(10_000)))), null);
  assert.equal(reasonOf(read(all(many(30_000)))), 'filter too large');
  const far = (hops: number): string => `${'parent.Shot.'.repeat(hops)}code`;
  assert.equal(reasonOf(read(all(leaf(far(6), 'is', 'x')))), null);
  assert.equal(reasonOf(read(all(leaf(far(10_000), 'is', 'x')))), 'too many links');
  assert.equal(reasonOf(read(all(), { return_fields: [far(6)] })), null);
  assert.equal(reasonOf(read(all(), { return_fields: [far(10_000)] })), 'too many links');
  assert.equal(reasonOf(read(all(), { return_fields: Array<string>(501).fill('code') })), 'too many fields');
  const sorted = { sorts: [{ field_name: far(10_000), direction: 'asc' }] };
  assert.equal(reasonOf(read(all(), sorted)), 'too many links');
});

test('rows are narrowed first where that is known to leave few beside those that a list of links leads to', () => {
  const rowsPerValue = (table: string, column: string): number | null =>
    column === 'target_id' ? 1_000 : table.includes('shot') && column.includes('parent') ? 20 : null;
  const sqlOf = (...conditions: readonly unknown[]): string => {
    const compiled = compileRead(read(all(...conditions)), { ...context, frequencies: { rowsPerValue } });
    assert.ok('sql' in compiled);
    return compiled.sql;
  };
  const listed = leaf('shots', 'is', { type: 'Shot', id: 1 });
  const parent = (path: string): Leaf => leaf(path, 'is', { type: 'Shot', id: 2 });
  const isNarrowed = (...conditions: readonly unknown[]): boolean =>
    /\.id = any\(array\(select l\.entity_id/.test(sqlOf(...conditions));
  assert.equal(isNarrowed(listed, parent('parent')), true);
  assert.equal(isNarrowed(leaf('code', 'is', 'a'), parent('parent'), listed), true);
  assert.equal(isNarrowed(listed, leaf('id', 'is', 3)), true);
  assert.equal(isNarrowed(listed, parent('parent.Shot.parent')), false, 'twenty of twenty are too many');
  assert.equal(isNarrowed(listed, leaf('project', 'is', { type: 'Project', id: 1 })), false, 'not known');
  assert.equal(isNarrowed(listed), false);
  assert.equal(isNarrowed(listed, leaf('parent', 'is_not', { type: 'Shot', id: 2 })), false);
  assert.equal(isNarrowed(listed, leaf('parent', 'is', null)), false);
  assert.equal(isNarrowed(parent('parent'), leaf('shots', 'is', null)), false);
  assert.equal(isNarrowed(parent('parent'), leaf('shots', 'is_not', { type: 'Shot', id: 1 })), false);
  const conditions = [listed, ...Array<Leaf>(300_000).fill(parent('parent'))];
  const many = read({ logical_operator: 'and', conditions });
  const tooMany = compileRead(many, { ...context, frequencies: { rowsPerValue } });
  assert.equal('passThrough' in tooMany && tooMany.passThrough, 'filter too large');
  assert.doesNotMatch(
    (compileRead(read(all(listed, parent('parent'))), context) as { readonly sql: string }).sql,
    /array\(/,
  );
});

test('lists of links are followed so deep and so often, as PostgreSQL plans them within a moment', () => {
  const through = (lists: number): Leaf => leaf(`${'shots.Shot.'.repeat(lists)}code`, 'is', 'x');
  assert.equal(reasonOf(read(all(through(3)))), null);
  assert.equal(reasonOf(read(all(through(4)))), 'too many links');
  assert.equal(reasonOf(read(all(...Array<Leaf>(20).fill(through(1))))), null);
  assert.equal(reasonOf(read(all(...Array<Leaf>(21).fill(through(1))))), 'too many links');
  assert.equal(reasonOf(read(all(...Array<Leaf>(11).fill(through(2))))), 'too many links');
});

test('a path of megabytes is not looked at', () => {
  const path = 'parent.Shot.'.repeat(500_000);
  for (const payload of [
    read(all(leaf(path, 'is', 1))),
    read(all(), { return_fields: [path] }),
    read(all(), { sorts: [{ field_name: path, direction: 'asc' }] }),
  ])
    assert.equal(reasonOf(payload), 'too many links');
  const summarize = { type: 'Shot', filters: all(), summaries: [{ field: path, type: 'count' }] };
  const compiled = compileSummarize(summarize, context);
  assert.ok('passThrough' in compiled && compiled.passThrough === 'too many links');
});

test('only statements of a usual size are prepared', () => {
  const any = (count: number): unknown => ({
    logical_operator: 'or',
    conditions: Array.from({ length: count }, (_, at) => leaf('sg_description', 'contains', `x${at}`)),
  });
  const nameOf = (filters: unknown): string => {
    const compiled = compileRead(read(filters), context);
    assert.ok('sql' in compiled);
    return compiled.name;
  };
  assert.notEqual(nameOf(any(50)), '');
  assert.equal(nameOf(any(900)), '');
});

test('what a caller sends never becomes part of the statement', () => {
  const hostile = `'); drop table site.shot; -- $1 \\`;
  for (const relation of ['is', 'is_not', 'contains', 'starts_with', 'ends_with', 'in', 'not_in']) {
    const compiled = compileRead(read(all(leaf('code', relation, hostile))), context);
    assert.ok('sql' in compiled);
    assert.ok(!compiled.sql.includes('drop'));
  }
  for (const payload of [
    read(all(), { return_fields: [hostile, 'code'] }),
    read(all(), { sorts: [{ field_name: hostile, direction: 'asc' }] }),
    read(all(leaf(hostile, 'is', 1))),
    read(all(leaf('code', hostile, 'x'))),
    read(all(leaf(`parent.${hostile}.code`, 'is', 'x'))),
    read(all(leaf('updated_at', 'in_last', 1, hostile))),
    { ...(read(all()) as object), type: hostile },
  ]) {
    assert.notEqual(reasonOf(payload), null);
  }
  const sorted = compileRead(read(all(), { sorts: [{ field_name: 'code', direction: hostile }] }), context);
  assert.ok('sql' in sorted && !sorted.sql.includes('drop'));
});

test('names of JavaScript’s own are names like others', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    assert.equal(reasonOf(read(all(leaf(name, 'is', 1)))), 'field not kept');
    assert.equal(reasonOf(read(all(leaf('code', name, 'x')))), 'invalid filter');
    assert.equal(reasonOf({ ...(read(all()) as object), type: name }), 'type not kept');
  }
  const polluted = JSON.parse(
    '{"type":"Shot","return_fields":["code"],"filters":{"logical_operator":"and","conditions":[],"__proto__":{"path":"x"}},"paging":{"entities_per_page":1,"current_page":1,"__proto__":{"x":1}},"__proto__":{"type":"Project"}}',
  ) as unknown;
  const compiled = compileRead(polluted, context);
  assert.ok('sql' in compiled);
  assert.equal(compiled.type, 'Shot');
});

test('text that cannot be sent to PostgreSQL, or that a site may write in two ways, is the site’s', () => {
  for (const text of ['a\0b', '\ud800', '<', '&lt;'])
    assert.equal(reasonOf(read(all(leaf('code', 'contains', text)))), 'value in doubt');
  // What would be found within an `&lt;` as the site sends it, and not in what it stands for.
  for (const [relation, text] of [
    ['is', '&LT;'],
    ['contains', 'lt'],
    ['contains', 'T'],
    ['contains', 'R&'],
    ['not_contains', 't;x'],
    ['starts_with', 'a&l'],
    ['ends_with', ';'],
  ] as const)
    assert.equal(reasonOf(read(all(leaf('code', relation, text)))), 'value in doubt', text);
  assert.equal(reasonOf(read(all(leaf('parent', 'name_contains', '&')))), 'value in doubt');
  for (const [relation, text] of [
    ['is', 't'],
    ['contains', 'R&D'],
    ['contains', 'salt'],
    ['starts_with', 'lt'],
    ['ends_with', 'lt'],
  ] as const)
    assert.equal(reasonOf(read(all(leaf('code', relation, text)))), null, text);
});

test('what live sites may refuse, or match otherwise, is theirs', () => {
  const number = (relation: string): Leaf => leaf('sg_cut_in', relation, 1, 5);
  assert.equal(reasonOf(read(all(number('between')))), null);
  for (const odd of [
    number('not_between'),
    leaf('id', 'not_between', 1, 5),
    // A float has no such operator, behind a list of links neither.
    leaf('sg_speed', 'not_between', 1, 5),
    leaf('shots.Shot.sg_speed', 'not_between', 1, 5),
    leaf('sg_kind', 'is', 'x'),
    // A type that the field does not allow: no rows, but what of those that ask for nothing?
    leaf('parent.Project.name', 'is', null),
    leaf('parent.Project.name', 'is', ''),
    leaf('parent.Project.name', 'in', 'x', ''),
    leaf('parent.Project.name', 'is_not', 'x'),
    { ...leaf('code', 'is', 'x'), logical_operator: 'and' },
  ])
    assert.notEqual(reasonOf(read(all(odd))), null, JSON.stringify(odd));
  assert.equal(reasonOf(read(all(leaf('parent.Project.name', 'is', 'x')))), null);
});

test('of summaries only those are made here that are safe to', () => {
  const reason = (field: string, type: string): string | null => {
    const compiled = compileSummarize(
      { type: 'Shot', filters: all(), summaries: [{ field, type }] },
      context,
    );
    return 'passThrough' in compiled ? compiled.passThrough : null;
  };
  for (const type of ['count', 'sum', 'maximum', 'minimum']) assert.equal(reason('sg_cut_in', type), null);
  for (const type of ['earliest', 'latest']) assert.equal(reason('updated_at', type), null);
  for (const [field, type] of [
    ['sg_cut_in', 'record_count'],
    ['sg_cut_in', 'average'],
    ['project.Project.archived', 'checked'],
    ['project.Project.archived', 'unchecked'],
    ['sg_speed', 'sum'],
    ['code', 'maximum'],
  ] as const)
    assert.equal(reason(field, type), 'summary not answered here', `${type} of ${field}`);
});

test('compiling changes nothing, and a compiled read can be run at any moment', () => {
  const payload = read(all(leaf('updated_at', 'in_last', 2, 'DAY'), leaf('code', 'is', 'x')));
  const before = structuredClone(payload);
  const [first, second] = [compileRead(payload, context), compileRead(payload, context)];
  assert.deepEqual(payload, before);
  assert.deepEqual(first, second);
  assert.ok('sql' in first);
  assert.equal(first.dependsOnNow, true);
  const at = (moment: string): unknown => boundAt(first.params, new Date(moment))[0];
  assert.equal(at('2026-01-02T03:04:05.678Z'), '2026-01-02T03:04:05Z');
  assert.equal(at('2027-01-02T03:04:05Z'), '2027-01-02T03:04:05Z');
  const summarize = {
    type: 'Shot',
    filters: all(leaf('updated_at', 'in_last', 2, 'DAY')),
    summaries: [{ field: 'id', type: 'count' }],
    grouping: [{ field: 'project', type: 'exact', direction: 'asc' }],
  };
  const untouched = structuredClone(summarize);
  const summaries = [compileSummarize(summarize, context), compileSummarize(summarize, context)];
  assert.deepEqual(summarize, untouched);
  assert.ok(summaries[0] !== undefined && 'sql' in summaries[0] && summaries[0].dependsOnNow);
  assert.deepEqual(summaries[0], summaries[1]);
});

test('empty groups match everything, also under or; duplicates and absent fields are taken as they come', () => {
  assert.equal(reasonOf(read({ logical_operator: 'or', conditions: [] })), null);
  const compiled = compileRead(
    read(all(), { return_fields: ['code', 'code', 'gone', 'id', 'type'] }),
    context,
  );
  assert.ok('sql' in compiled);
  assert.equal(compiled.sql.match(/"code":/g)?.length, 1);
  assert.ok(!compiled.sql.includes('gone'));
});

test('of the rows of a page no more is read than what is wanted of them', () => {
  const wanted = ['code', 'parent', 'shots', 'parent.Shot.sg_cut_in', 'gone', 'id'];
  const compiled = compileRead(read(all(), { return_fields: wanted }), context);
  assert.ok('sql' in compiled);
  const columns = /from \(\s*select (.*?) from site\."shot"/.exec(compiled.sql)?.[1];
  assert.equal(columns, 't1.id, t1."code", t1."parent__type", t1."parent__id"');
});
