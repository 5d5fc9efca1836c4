import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReplyParser } from './reply-parser.ts';
import { RowBytes } from './row-bytes.ts';

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

const row = (text: string | null): Buffer => {
  const value = Buffer.from(text ?? '');
  const head = Buffer.alloc(6);
  head.writeInt16BE(1, 0);
  head.writeInt32BE(text === null ? -1 : value.length, 2);
  return message('D', Buffer.concat([head, value]));
};

const error = (code: string): Buffer =>
  message('E', Buffer.from(`SERROR\0C${code}\0Mit failed: “${code}”\0Ttype\0\0`));
const READY = message('Z', Buffer.from('I'));
const NOTICE = message('N', Buffer.from('SNOTICE\0Mwell\0\0'));

/** What a parser tells of messages that come in pieces of some sizes. */
function told(bytes: Buffer, sizes: readonly number[]): unknown[] {
  const rows = new RowBytes();
  const found: unknown[] = [];
  let failed: unknown = null;
  const parser = new ReplyParser({
    row: (chunk, start, end) => rows.add(chunk, start, end),
    parsed: () => found.push('parsed'),
    failed: ({ code, severity, message: text }) => {
      failed = { code, severity, text };
    },
    ready: () => {
      found.push(failed ?? rows.texts());
      failed = null;
      rows.clear();
    },
  });
  // One buffer for all that comes, as the socket has.
  const shared = Buffer.alloc(bytes.length);
  for (let at = 0, piece = 0; at < bytes.length; piece += 1) {
    const size = sizes[piece % sizes.length] ?? 1;
    const length = bytes.copy(shared, 0, at, Math.min(at + size, bytes.length));
    parser.take(shared.subarray(0, length));
    at += length;
  }
  return found;
}

test('tells the same, in whatever pieces an answer comes', () => {
  const reply = fc.oneof(
    fc.record({ rows: fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { maxLength: 20 }) }),
    fc.record({ code: fc.constantFrom('42703', '57014') }),
  );
  fc.assert(
    fc.property(
      fc.array(reply, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
      (replies, sizes) => {
        const bytes = replies.flatMap((one) => [
          message('1', Buffer.alloc(0)),
          NOTICE,
          message('2', Buffer.alloc(0)),
          ...('rows' in one
            ? [...one.rows.map(row), message('C', Buffer.from('SELECT\0'))]
            : [error(one.code)]),
          READY,
        ]);
        assert.deepEqual(
          told(Buffer.concat(bytes), sizes),
          replies.flatMap((one) => [
            'parsed',
            'rows' in one
              ? one.rows
              : { code: one.code, severity: 'ERROR', text: `it failed: “${one.code}”` },
          ]),
        );
      },
    ),
  );
});

test('null is empty', () => {
  assert.deepEqual(told(Buffer.concat([row(null), row('x'), READY]), [1_000]), [['', 'x']]);
});

test('what is no answer to a statement is refused', () => {
  const parser = new ReplyParser({ row: () => {}, parsed: () => {}, failed: () => {}, ready: () => {} });
  assert.throws(() => parser.take(message('G', Buffer.alloc(3))), /type 71/);
  const two = Buffer.alloc(10);
  two.writeInt16BE(2, 0);
  assert.throws(() => parser.take(message('D', two)), /more than one column/);
});
