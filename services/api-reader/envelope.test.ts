import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEnvelope, payloadType } from './envelope.ts';
import { ReaderError } from './errors.ts';

const parse = (text: string) => parseEnvelope(Buffer.from(text));

test('an envelope is taken apart', () => {
  const auth = { script_name: 's', script_key: 'k' };
  const text = JSON.stringify({ method_name: 'read', params: [auth, { type: 'Shot' }] });
  assert.deepEqual(parse(text), { method: 'read', auth, payload: { type: 'Shot' } });
  assert.deepEqual(parse('{"method_name":"info","params":[]}'), {
    method: 'info',
    auth: null,
    payload: undefined,
  });
});

test('a batch’s payload is an array', () => {
  assert.deepEqual(parse('{"method_name":"batch","params":[{},[]]}').payload, []);
});

for (const [what, body] of Object.entries({
  nothing: '',
  'not JSON': 'method_name=read',
  'cut JSON': '{"method_name":"read"',
  'an array': '[]',
  'a number': '1',
  'no method': '{"params":[]}',
  'a method that is no text': '{"method_name":{},"params":[]}',
  'a very long method': JSON.stringify({ method_name: 'x'.repeat(101), params: [] }),
  'params that are no array': '{"method_name":"read","params":{}}',
  'credentials that are no object': '{"method_name":"read","params":["me"]}',
  'an inherited method': '{"__proto__":{"method_name":"read"},"params":[]}',
})) {
  test(`${what} is refused with 400`, () => {
    assert.throws(
      () => parse(body),
      (error) => error instanceof ReaderError && error.statusCode === 400 && error.faultCode === 103,
    );
  });
}

test('what nests deeper than any client’s is refused before it is parsed', () => {
  const nested = (levels: number, inner = ''): Buffer =>
    Buffer.from(`{"method_name":"read","params":[{},${'['.repeat(levels)}${inner}${']'.repeat(levels)}]}`);
  parseEnvelope(nested(998));
  for (const levels of [999, 5_000_000])
    assert.throws(() => parseEnvelope(nested(levels)), {
      statusCode: 200,
      faultCode: 103,
      message: /nests deeper/,
    });
  parseEnvelope(nested(900, JSON.stringify(['['.repeat(5_000), '"[\\"', '{'.repeat(5_000)])));
  parseEnvelope(Buffer.from(`{"method_name":"read","params":[{},[${'[],{},'.repeat(5_000)}[]]]}`));
});

test('bytes that are not UTF-8 are refused', () => {
  assert.throws(() => parseEnvelope(Buffer.from([0x22, 0xff, 0xfe, 0x22])), ReaderError);
});

test('the type of a payload is its own text', () => {
  assert.equal(payloadType({ type: 'Shot' }), 'Shot');
  for (const payload of [
    undefined,
    null,
    [],
    'Shot',
    { type: 3 },
    JSON.parse('{"__proto__":{"type":"Shot"}}'),
  ])
    assert.equal(payloadType(payload), null);
});
