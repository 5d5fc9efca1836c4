import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CachedSchemaError,
  cachedSchemaJson,
  formatCachedSchema,
  parseCachedSchema,
  parseCachedSchemaJson,
} from './cached-schema-file.ts';
import { withColumns } from './columns.ts';
import { partOf, unionOf } from './combine.ts';
import { fitToSite } from './difference.ts';
import { identifierField } from './display-name.ts';
import { followSite } from './follow-site.ts';
import { schemaChanges } from './schema-change.ts';
import { parseSiteSchema } from './site-schema.ts';

const YAML = `types:
  Shot:
    code: text
    sg_sequence: {entity: [Sequence]}
    assets: {multi_entity: [Asset]}
    old: absent
`;

test('a schema file is read, and written back to an equal one', () => {
  const schema = parseCachedSchema(YAML);
  assert.deepEqual(schema.types.get('Shot')?.fields.get('sg_sequence'), {
    name: 'sg_sequence',
    dataType: 'entity',
    validTypes: ['Sequence'],
    absent: false,
  });
  assert.equal(schema.types.get('Shot')?.fields.get('old')?.absent, true);
  assert.deepEqual(parseCachedSchema(formatCachedSchema(schema)), schema);
  assert.deepEqual(parseCachedSchemaJson(cachedSchemaJson(schema)), schema);
});

test('a wrong schema file is refused, naming the place', () => {
  for (const [yaml, place] of [
    ['types: {shot: {}}', 'types.shot'],
    ['types: {Shot: {code: txt}}', 'types.Shot.code'],
    ['types: {Shot: {"co;de": text}}', 'types.Shot.co;de'],
    ['types: {Shot: {a: {entity: Asset}}}', 'types.Shot.a'],
    ['Shot: {}', 'types:'],
    ['types: {}\nidentifiers: {Shot: 3}', 'identifiers.Shot'],
    ['types: {}\nidentifiers: {shot: code}', 'identifiers.shot'],
    ['types: {}\nidentifiers: [Shot]', 'identifiers:'],
    ['types: [', ''],
  ] as const) {
    assert.throws(
      () => parseCachedSchema(yaml),
      (error: unknown) => error instanceof CachedSchemaError && error.message.includes(place),
      yaml,
    );
  }
});

test('what the site lacks or has otherwise is named and left out', () => {
  const field = (dataType: string) => ({ data_type: { value: dataType, editable: false }, properties: {} });
  const site = parseSiteSchema({
    Shot: { code: field('number'), assets: field('multi_entity'), old: field('text') },
  });
  const fitted = fitToSite(parseCachedSchema(YAML), site);
  assert.deepEqual([...(fitted.schema.types.get('Shot')?.fields.keys() ?? [])], ['assets']);
  assert.deepEqual(
    fitted.differences.map((difference) => `${difference.field} ${difference.kind}`),
    ['code data-type', 'sg_sequence missing-field', 'old present'],
  );
});

test('a file says which field names mirror where it is not the usual one; what the site lacks is named', () => {
  const schema = parseCachedSchema(
    'types: {Shot: {code: text}}\nidentifiers: {Shot: sg_a, CustomEntity01: sg_b}\n',
  );
  assert.deepEqual(parseCachedSchema(formatCachedSchema(schema)), schema);
  assert.deepEqual(parseCachedSchemaJson(cachedSchemaJson(schema)), schema);
  assert.equal(identifierField('Shot', schema), 'sg_a');
  assert.equal(identifierField('Asset', schema), 'code');
  const text = { data_type: { value: 'text', editable: false }, properties: {} };
  const site = parseSiteSchema({ Shot: { code: text }, CustomEntity01: { sg_b: text } });
  const fitted = fitToSite(schema, site);
  assert.deepEqual([...(fitted.schema.identifiers ?? [])], [['CustomEntity01', 'sg_b']]);
  assert.deepEqual(
    fitted.differences.map(({ kind, type, field }) => [kind, type, field]),
    [['identifier', 'Shot', 'sg_a']],
  );
  const plain = parseCachedSchema('types: {Shot: {code: text}}');
  assert.deepEqual(
    schemaChanges(plain, schema).map(({ kind, type, detail }) => `${kind} ${type} ${detail}`),
    ['identifier CustomEntity01 code → sg_b', 'identifier Shot code → sg_a'],
  );
  for (const made of [
    unionOf([plain, schema]),
    partOf(schema, { type: () => true, field: () => true }),
    withColumns(schema, [plain]),
    followSite(schema, site, new Set()),
  ]) {
    assert.equal(identifierField('Shot', made), 'sg_a');
  }
});
