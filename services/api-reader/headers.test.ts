import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyHeaders, requestHeaders } from './headers.ts';

test('headers of the connection, and those it names, stay behind', () => {
  const sent = requestHeaders(
    {
      host: '127.0.0.1:8010',
      connection: 'keep-alive, X-Hop',
      'x-hop': '1',
      'proxy-authorization': 'Basic eA==',
      expect: '100-continue',
      cookie: '_session_id=1',
      locale: 'auto',
      'x-request-id': 'theirs',
    },
    'ours',
  );
  assert.deepEqual(sent, { cookie: '_session_id=1', locale: 'auto', 'x-request-id': 'ours' });
});

test('every cookie of a reply is kept', () => {
  const cookies = ['a=1; Path=/', 'b=2; HttpOnly'];
  assert.deepEqual(
    replyHeaders({ 'set-cookie': cookies, 'transfer-encoding': 'chunked', 'content-encoding': 'gzip' }),
    { 'set-cookie': cookies, 'content-encoding': 'gzip' },
  );
});
