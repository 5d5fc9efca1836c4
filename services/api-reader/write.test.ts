import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Json } from '@understudy/domain/entity';
import { pino } from 'pino';
import type { ApiCall } from './api-call.ts';
import { type WriteParts, writeThrough } from './write.ts';

/** What a reader takes a site's reply to a write for; undefined where it takes it for a refusal. */
async function resultsOf(reply: string, isPacked = false): Promise<Json | undefined> {
  const parts = {
    upstream: {
      send: async () => ({
        statusCode: 200,
        headers: isPacked ? { 'content-encoding': 'gzip' } : {},
        body: Readable.from([isPacked ? gzipSync(reply) : Buffer.from(reply)]),
      }),
    },
    credentials: { forget: () => {} },
    log: pino({ level: 'silent' }),
  } as unknown as WriteParts;
  const call = { envelope: { method: 'create', auth: null, payload: {} } } as unknown as ApiCall;
  let results: Json | undefined;
  await writeThrough(parts, call, async (found) => {
    results = found;
  });
  return results;
}

test('a reply’s results are taken as clients take them, in an envelope or in none', async () => {
  const row = { type: 'Shot', id: 7 };
  for (const isPacked of [false, true]) {
    assert.deepEqual(await resultsOf(JSON.stringify({ results: row }), isPacked), row);
    assert.deepEqual(await resultsOf(JSON.stringify({ results: [row] }), isPacked), [row]);
    assert.deepEqual(await resultsOf(JSON.stringify(row), isPacked), row);
    assert.deepEqual(await resultsOf(JSON.stringify([row]), isPacked), [row]);
  }
  assert.equal(await resultsOf('{"results":false}'), false);
  assert.equal(await resultsOf('false'), false);
  assert.equal(await resultsOf('{"results":null}'), null);
  assert.equal(await resultsOf('{"exception":true,"message":"no","error_code":104}'), undefined);
  assert.deepEqual(await resultsOf('{"results":{"exception":true}}'), { exception: true });
});
