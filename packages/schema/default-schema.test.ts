import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { cachedSchemaFrom } from './cacheable.ts';
import { formatCachedSchema, parseCachedSchema, readCachedSchemaFile } from './cached-schema-file.ts';
import { fitToSite } from './difference.ts';
import { parseSiteSchema } from './site-schema.ts';

const DEFAULT_SCHEMA = fileURLToPath(new URL('../../schema/default.yaml', import.meta.url));

test('the default schema keeps only what a replica can keep', async () => {
  const schema = await readCachedSchemaFile(DEFAULT_SCHEMA);
  assert.equal(schema.types.has('EventLogEntry'), false);
  for (const name of ['Project', 'Shot', 'Asset', 'Task', 'Version', 'PublishedFile', 'Note', 'HumanUser']) {
    assert.ok(schema.types.has(name), name);
  }
  for (const type of schema.types.values()) {
    for (const field of type.fields.values()) {
      const place = `${type.name}.${field.name}`;
      const { storage } = DATA_TYPES[field.dataType];
      assert.notEqual(storage, 'none', place);
      assert.doesNotMatch(field.name, /current_user/, place);
      assert.equal(field.validTypes.length > 0, storage === 'link' || storage === 'links', place);
    }
  }
  assert.deepEqual(parseCachedSchema(formatCachedSchema(schema)), schema);
});

test('all that can be kept of a site fits that site', () => {
  const pair = (value: unknown): unknown => ({ value, editable: false });
  const site = parseSiteSchema({
    Shot: {
      id: { data_type: pair('number') },
      code: { data_type: pair('text') },
      image: { data_type: pair('image') },
      sg_sequence: { data_type: pair('entity'), properties: { valid_types: pair(['Sequence']) } },
      read_by_current_user: { data_type: pair('list') },
      viewed_by_current_user_at: { data_type: pair('date_time') },
      invented: { data_type: pair('hologram') },
    },
    EventLogEntry: { id: { data_type: pair('number') } },
  });
  const schema = cachedSchemaFrom(site);
  assert.deepEqual([...schema.types.keys()], ['Shot']);
  assert.deepEqual([...(schema.types.get('Shot')?.fields.keys() ?? [])], ['code', 'image', 'sg_sequence']);
  assert.deepEqual(fitToSite(schema, site), { schema, differences: [] });
});
