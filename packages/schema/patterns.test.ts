import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cachedSchemaFrom } from './cacheable.ts';
import { formatCachedSchema, parseCachedSchema } from './cached-schema-file.ts';
import { fitToSite } from './difference.ts';
import { followSite } from './follow-site.ts';
import {
  type FullSchema,
  formatFullSchema,
  mergeSchemas,
  parseFullSchema,
  parsePrivateSchema,
} from './full-schema.ts';
import { filterSchema, PatternError, parsePatterns } from './patterns.ts';
import { parseSiteSchema } from './site-schema.ts';

const pair = (value: unknown): unknown => ({ value, editable: false });
const field = (dataType: string, validTypes?: readonly string[]): unknown => ({
  data_type: pair(dataType),
  ...(validTypes === undefined ? {} : { properties: { valid_types: pair(validTypes) } }),
});

const SITE = parseSiteSchema({
  Shot: {
    id: field('number'),
    code: field('text'),
    sg_cut_in: field('number'),
    sg_cut_out: field('number'),
    sg_sequence: field('entity', ['Sequence']),
    image: field('image'),
    mine: field('checkbox'),
    step_0: field('pivot_column'),
  },
  Sequence: { id: field('number'), code: field('text') },
  EventLogEntry: { id: field('number'), description: field('text') },
});

const PAGE = `SG.schema = new SG.Schema(${JSON.stringify({
  entity_fields: {
    Shot: {
      code: { identifier_column: true },
      mine: { has_custom_filter: true },
      sg_sequence: { allowed_entity_types: ['Sequence'], inverse_association: 'shots' },
    },
  },
})});\nmore();\n`;

function chosen(full: FullSchema, patterns: string): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    [...filterSchema(full, parsePatterns(patterns)).types.values()].map((type) => [
      type.name,
      [...type.fields.values()].map((one) => (one.absent ? `${one.name}!` : one.name)),
    ]),
  );
}

test('the first line that matches decides; the rest is left out', () => {
  const full = mergeSchemas(SITE);
  assert.deepEqual(chosen(full, '+ Shot'), {
    Shot: ['code', 'sg_cut_in', 'sg_cut_out', 'sg_sequence', 'image', 'mine'],
  });
  assert.deepEqual(chosen(full, '- *.*:image # no pictures\n\n- Shot.sg_cut_*\n+ S*'), {
    Shot: ['code', 'sg_sequence', 'mine'],
    Sequence: ['code'],
  });
  assert.deepEqual(chosen(full, 'Shot.sg_*:number\nShot.code'), {
    Shot: ['code', 'sg_cut_in', 'sg_cut_out'],
  });
  assert.deepEqual(chosen(full, '+ EventLogEntry\n+ Nothing'), {});
});

test('what is named in full and not there is known to be absent', () => {
  const full = mergeSchemas(SITE);
  assert.deepEqual(chosen(full, 'Shot.code\nShot.sg_lost\nShot.sg_lost_*\nNothing.code'), {
    Shot: ['code', 'sg_lost!'],
  });
  // It is there with another data type: that is no reason to say that it is not.
  assert.deepEqual(chosen(full, 'Shot.sg_cut_in:text\nShot.code'), { Shot: ['code'] });
});

test('a line that makes no sense is named', () => {
  assert.throws(() => parsePatterns('+ Shot\n+ Shot code'), PatternError);
  assert.throws(() => parsePatterns('+ Shot\n+ Shot code'), /line 2/);
});

test('the private schema adds identifiers, other sides and what depends on who asks', () => {
  const full = mergeSchemas(SITE, parsePrivateSchema(PAGE));
  assert.equal(full.get('Shot')?.get('code')?.isIdentifier, true);
  assert.equal(full.get('Shot')?.get('sg_sequence')?.inverse, 'shots');
  assert.deepEqual(chosen(full, '+ Shot')['Shot']?.includes('mine'), false);
  const known = parseFullSchema(formatFullSchema(full));
  assert.equal(formatFullSchema(known), formatFullSchema(full));
  assert.throws(() => parsePrivateSchema('<html>log in</html>'), /holds no schema/);
});

const DATA = ['../shared/data', '../../shared/data']
  .map((path) => fileURLToPath(new URL(`../../${path}/site-schema.json`, import.meta.url)))
  .find((path) => existsSync(path));

test('the default patterns make a basic schema of a real site', {
  skip: DATA === undefined && 'no schema of a real site is at hand',
}, async () => {
  const full = parseFullSchema(await readFile(DATA ?? '', 'utf8'));
  assert.equal(full.size, 77);
  const patterns = parsePatterns(
    await readFile(new URL('../../schema/default.patterns', import.meta.url), 'utf8'),
  );
  const basic = filterSchema(full, patterns);
  assert.deepEqual([...basic.types.keys()].sort(), [
    'ApiUser',
    'Asset',
    'AssetShotConnection',
    'CustomEntity01',
    'Department',
    'Group',
    'HumanUser',
    'LocalStorage',
    'Note',
    'PermissionRuleSet',
    'Phase',
    'PipelineConfiguration',
    'Playlist',
    'PlaylistVersionConnection',
    'Project',
    'PublishedFile',
    'PublishedFileDependency',
    'PublishedFileType',
    'Reply',
    'Sequence',
    'Shot',
    'Status',
    'Step',
    'Task',
    'TaskDependency',
    'TaskTemplate',
    'TimeLog',
    'Version',
  ]);
  const shot = basic.types.get('Shot')?.fields;
  for (const name of ['code', 'sg_sequence', 'assets', 'sg_status_list', 'updated_at'])
    assert.ok(shot?.has(name), name);
  for (const name of ['image', 'step_0', 'id']) assert.ok(!shot?.has(name), name);
  assert.deepEqual(fitToSite(basic, full).differences, []);
  assert.deepEqual(parseCachedSchema(formatCachedSchema(basic)), basic);
  const everything = filterSchema(full, parsePatterns('+ *'));
  assert.equal(everything.types.size, 76, 'all but the event log');
});

test('a field whose name no column can have is left out, by patterns and where the site is followed', () => {
  const site = parseSiteSchema({
    Shot: { code: field('text'), sg_új_mező: field('text'), 'sg-b': field('number') },
  });
  const all = filterSchema(mergeSchemas(site), parsePatterns('+ *'));
  for (const schema of [
    all,
    cachedSchemaFrom(site),
    followSite(all, site, new Set(['Shot.sg_új_mező', 'Shot.sg-b'])),
  ])
    assert.deepEqual([...(schema.types.get('Shot')?.fields.keys() ?? [])], ['code']);
});
