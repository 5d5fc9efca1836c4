import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formFields, uploadSubjects } from './upload-writes.ts';

const BOUNDARY = 'b0undary';
const multipart = `multipart/form-data; boundary=${BOUNDARY}`;
const part = (name: string, value: string, more = ''): string =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;

test('fields before the file are read, the file and what is cut off are not', () => {
  const head = Buffer.from(
    `${part('entity_type', 'Version')}${part('entity_id', '12')}${part('file', 'name="entity_id"\r\n\r\n7', '; filename="a.txt"')}${part('later', 'cut')}`,
  );
  assert.deepEqual(Object.fromEntries(formFields(multipart, head)), {
    entity_type: 'Version',
    entity_id: '12',
  });
  const urlencoded = 'application/x-www-form-urlencoded';
  assert.deepEqual(Object.fromEntries(formFields(urlencoded, Buffer.from('entity_type=Shot&entity_id=3'))), {
    entity_type: 'Shot',
    entity_id: '3',
  });
});

test('forms that are none name nothing', () => {
  for (const [type, body] of [
    ['', 'x'],
    ['multipart/form-data', 'x'],
    [multipart, ''],
    [multipart, `--${BOUNDARY}`],
    [multipart, part('entity_type', 'Shot')],
    ['application/json', '{"entity_type": "Shot"}'],
  ] as const)
    assert.equal(formFields(type, Buffer.from(body)).size, 0, type);
});

test('an upload changes what it is for and makes an attachment', () => {
  const fields = new Map([
    ['entity_type', 'Version'],
    ['entity_id', '12'],
  ]);
  assert.deepEqual(uploadSubjects(fields, '1:77\nok'), [
    { type: 'Version', id: 12 },
    { type: 'Attachment', id: 77 },
  ]);
  assert.deepEqual(uploadSubjects(fields, ''), [{ type: 'Version', id: 12 }]);
});

test('a shared thumbnail changes everything that gets it', () => {
  const fields = new Map([
    ['entities', 'Shot_1,CustomEntity03_sg_x_Connection_22, Asset_x,_3'],
    ['source_entity', 'Version_9'],
  ]);
  assert.deepEqual(uploadSubjects(fields, '2\nnot ready'), [
    { type: 'Shot', id: 1 },
    { type: 'CustomEntity03_sg_x_Connection', id: 22 },
  ]);
});
