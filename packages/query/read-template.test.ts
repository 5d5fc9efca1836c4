import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { compileRead } from './compile-read.ts';
import { type ReadTemplate, templateOf } from './read-template.ts';

const schema = parseCachedSchema(`
types:
  Shot:
    code: text
    sg_cut_in: number
    sg_done: checkbox
    due_date: date
    project: {entity: [Project]}
  Project: {name: text}
`);
const context = { schema, servedTypes: new Set(schema.types.keys()) };

type Payload = (numbers: readonly number[]) => unknown;

const leaf = (path: string, relation: string, ...values: readonly unknown[]): unknown => ({
  path,
  relation,
  values,
});
const read = (
  conditions: readonly unknown[],
  page: unknown = 1,
  size: unknown = 10,
  more: object = {},
): unknown => ({
  type: 'Shot',
  return_fields: ['code'],
  filters: { logical_operator: 'and', conditions },
  paging: { entities_per_page: size, current_page: page },
  ...more,
});

function template(payloadWith: Payload, ...numbers: readonly number[]): ReadTemplate {
  const found = templateOf(numbers, payloadWith, context);
  assert.ok(found);
  return found;
}

const link = (id: unknown): unknown => ({ type: 'Project', id });

test('ids and numbers of fields are free: another read is what compiling it gives', () => {
  const payload: Payload = ([id, project, least]) =>
    read([
      leaf('id', 'is', id),
      leaf('project', 'is', link(project)),
      leaf('sg_cut_in', 'greater_than', least),
    ]);
  const found = template(payload, 5, 5, 5);
  for (const numbers of [
    [5, 5, 5],
    [1, 2, 3],
    [3, 3, 1],
    [999_999_999, 1, 999_999_999],
  ]) {
    assert.ok(found.fits(numbers));
    assert.deepEqual(found.read(numbers), compileRead(payload(numbers), context));
  }
});

test('the page and its size are part of what is asked', () => {
  const payload: Payload = ([id, page, size]) => read([leaf('id', 'is', id)], page, size);
  for (const page of [1, 2]) {
    const found = template(payload, 7, page, 10);
    assert.ok(found.fits([8, page, 10]));
    assert.ok(!found.fits([8, page + 1, 10]));
    assert.ok(!found.fits([8, page, 11]));
    assert.deepEqual(found.read([8, page, 10]), compileRead(payload([8, page, 10]), context));
  }
});

test('a number that changes nothing is not free: it may be somebody’s key, or mean something to the site', () => {
  const found = template(([id, other]) => read([leaf('id', 'is', id)], 1, 10, { other }), 7, 3);
  assert.ok(found.fits([8, 3]));
  assert.ok(!found.fits([8, 4]));
});

test('what only some numbers can be is not free', () => {
  const within = template(([days]) => read([leaf('due_date', 'in_next', days, 'DAY')]), 7);
  assert.ok(!within.fits([8]));
  const flag = templateOf([1], ([one]) => read([leaf('sg_done', 'is', one)]), context);
  assert.ok(flag === null || !flag.fits([2]));
});

test('what is not compiled is no template, nor what has very many numbers', () => {
  assert.equal(
    templateOf([1], ([id]) => read([leaf('unknown', 'is', id)]), context),
    null,
  );
  const ids = Array.from({ length: 30 }, (_, number) => number + 1);
  const many: Payload = (numbers) => read([leaf('id', 'in', ...numbers)]);
  assert.equal(templateOf(ids, many, context), null);
});
