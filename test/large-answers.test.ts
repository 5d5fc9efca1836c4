import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { type Api, call, entitiesOf, type ReplyJson, readOf, SCRIPT, startApi } from './api-rig.ts';

/** Long enough that an answer fills what the two ends of a connection hold for a reader that is not reading. */
const DESCRIPTION = 'ü → “long” '.repeat(2_000);
const SHOTS = 120;
const READERS = 4;

let api: Api;
before(async () => {
  api = await startApi({
    fill: async (siteUrl) => {
      const requests = Array.from({ length: SHOTS }, (_, number) => ({
        request_type: 'create',
        type: 'Shot',
        fields: Object.entries({
          project: { type: 'Project', id: 1 },
          code: `large ${number}`,
          description: `${number} ${DESCRIPTION}`,
        }).map(([field_name, value]) => ({ field_name, value })),
        return_fields: ['id'],
      }));
      const made = await call(siteUrl, 'batch', requests);
      assert.equal(made.json.exception, undefined, made.text.slice(0, 500));
    },
  });
});
after(() => api.stop());

/** Asks, and reads nothing of the answer until told. */
async function askSlowly(payload: object): Promise<{ readonly answer: () => Promise<ReplyJson> }> {
  const { hostname, port, host } = new URL(api.readerUrl);
  const socket: Socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  socket.pause();
  const body = JSON.stringify({ method_name: 'read', params: [SCRIPT, payload] });
  socket.write(
    `POST /api3/json HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  return {
    answer: async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      const [head = '', text = ''] = Buffer.concat(chunks).toString('utf8').split('\r\n\r\n');
      assert.match(head, /^HTTP\/1\.1 200 [\s\S]*\r\nx-understudy: replica\r\n/i);
      return JSON.parse(text) as ReplyJson;
    },
  };
}

test('a large answer comes whole and right to those who read it late, while others are answered', async () => {
  const payload = readOf('Shot', ['code', 'description'], [['code', 'starts_with', 'large ']]);
  const expected = entitiesOf(await call(api.siteUrl, 'read', payload));
  assert.equal(expected.length, SHOTS);
  const slow = await Promise.all(Array.from({ length: READERS }, () => askSlowly(payload)));
  // Whatever memory those no longer hold is used again by these.
  for (let again = 0; again < READERS; again += 1)
    assert.deepEqual(entitiesOf(await call(api.readerUrl, 'read', payload)), expected);
  for (const { answer } of slow) {
    const { results } = (await answer()) as { readonly results?: { readonly entities?: unknown } };
    assert.deepEqual(results?.entities, expected);
  }
});
