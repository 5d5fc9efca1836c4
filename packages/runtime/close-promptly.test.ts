import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { fastify } from 'fastify';
import { closePromptly } from './close-promptly.ts';

test('a server closes though somebody holds a connection over which nothing was sent, and answers who has asked', async () => {
  const app = fastify();
  closePromptly(app);
  const asked = Promise.withResolvers<void>();
  const mayAnswer = Promise.withResolvers<void>();
  app.get('/', async () => {
    asked.resolve();
    await mayAnswer.promise;
    return 'answered';
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const unused = connect(port, '127.0.0.1');
  await once(unused, 'connect');
  const answer = fetch(`http://127.0.0.1:${port}/`);
  await asked.promise;
  const ended = once(unused, 'close');
  const closed = app.close();
  await ended;
  mayAnswer.resolve();
  assert.equal(await (await answer).text(), 'answered');
  await closed;
});
