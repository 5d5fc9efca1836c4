import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATA_TYPE_NAMES } from './data-type.ts';
import { DATA_TYPES, isDataTypeName } from './registry.ts';

test('every data type stands in the registry under its own name', () => {
  for (const name of DATA_TYPE_NAMES) assert.equal(DATA_TYPES[name].name, name);
  assert.equal(isDataTypeName('toString'), false);
});

test('values become canonical: empty text, missing lists, links without extra keys', () => {
  assert.equal(DATA_TYPES.text.parse(''), null);
  assert.deepEqual(DATA_TYPES.multi_entity.parse(null), []);
  assert.deepEqual(DATA_TYPES.entity.parse({ type: 'Shot', id: 3, name: 'a', valid: 'valid' }), {
    type: 'Shot',
    id: 3,
    name: 'a',
  });
});

test('an event value of an unexpected shape is in doubt', () => {
  assert.equal(DATA_TYPES.number.parseEventValue('7'), undefined);
  assert.equal(DATA_TYPES.date_time.parseEventValue('2024-01-02 03:04:05 UTC'), undefined);
});

test('an event’s text is in doubt where rows may have it in other letters', () => {
  for (const text of ['a < b', 'a &lt; b']) assert.equal(DATA_TYPES.text.parseEventValue(text), undefined);
  assert.equal(DATA_TYPES.text.parseEventValue('a > b & c'), 'a > b & c');
});
