import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import fc from 'fast-check';
import { compileRead } from './compile-read.ts';

const text = await readFile(fileURLToPath(new URL('../../schema/default.yaml', import.meta.url)), 'utf8');
const warm = parseCachedSchema(text);
const warmTypes = new Set(warm.types.keys());
const types = [...warm.types.values()];

/** A path of up to three hops, mostly one that exists. */
const path = (type: string): fc.Arbitrary<string> => {
  const fields = [...(warm.types.get(type)?.fields.values() ?? [])];
  return fc.constantFrom(...fields, undefined).chain((field) => {
    if (field === undefined) return fc.constantFrom('id', 'type', 'no_such_field', 'entity.Shot', '');
    const targets = field.validTypes.filter((target) => warm.types.has(target));
    if (targets.length === 0) return fc.constant(field.name);
    return fc.oneof(
      { depthSize: 'small', maxDepth: 3 },
      fc.constant(field.name),
      fc
        .constantFrom(...targets)
        .chain((target) => path(target).map((rest) => `${field.name}.${target}.${rest}`)),
    );
  });
};

const read = fc.constantFrom(...types.map((type) => type.name)).chain((type) =>
  fc.record({
    type: fc.constant(type),
    return_fields: fc.array(path(type), { maxLength: 8 }),
    filters: fc.constantFrom(
      { logical_operator: 'and', conditions: [] },
      { path: 'id', relation: 'is', values: [7] },
      { path: 'id', relation: 'in', values: [7, 8] },
    ),
    paging: fc.record({ entities_per_page: fc.constantFrom(1, 500), current_page: fc.constantFrom(1, 3) }),
  }),
);

test('a read compiled with what is remembered is the one compiled anew', () => {
  fc.assert(
    fc.property(read, (payload) => {
      const remembered = [1, 2].map(() => compileRead(payload, { schema: warm, servedTypes: warmTypes }));
      // Remembered by the set of types that may be served: nothing is known of a new one.
      const anew = compileRead(payload, { schema: warm, servedTypes: new Set(warmTypes) });
      assert.deepEqual(remembered, [anew, anew]);
    }),
    { numRuns: 300 },
  );
});

test('what is remembered ends with the types that may be served', () => {
  const payload = {
    type: 'Task',
    return_fields: ['content', 'entity.Shot.code'],
    filters: { logical_operator: 'and', conditions: [] },
    paging: { entities_per_page: 1, current_page: 1 },
  };
  assert.ok('sql' in compileRead(payload, { schema: warm, servedTypes: warmTypes }));
  const withoutShots = new Set([...warmTypes].filter((type) => type !== 'Shot'));
  assert.ok('passThrough' in compileRead(payload, { schema: warm, servedTypes: withoutShots }));
});
