import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptJson } from '@understudy/domain/kept-text';
import { compareRows } from './compare-rows.ts';

test('JSON of which the replica keeps what it can is no difference', () => {
  const site = { type: 'Shot', id: 1, sg_data: { a: ['b\0', 1] } };
  assert.deepEqual(compareRows(['sg_data'], site, { ...site, sg_data: keptJson(site.sg_data) }), {});
  const other = { ...site, sg_data: keptJson({ a: ['b\0', 2] }) };
  assert.deepEqual(Object.keys(compareRows(['sg_data'], site, other)), ['sg_data']);
});
