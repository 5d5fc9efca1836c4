import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { giveUpStalled } from './stalled-answers.ts';

/** Over Node's server, with a time that is short. */
const STALLED_MS = 100;
let respond: (response: ServerResponse) => void;
const server = createServer((_request, response) => {
  giveUpStalled(response, STALLED_MS);
  respond(response);
});

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => server.close());

function ask(): Socket {
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  return socket;
}

const MANY = Buffer.alloc(20_000_000, 'x');

test('whoever takes nothing of an answer is given up', async () => {
  const body = Readable.from(Array.from({ length: 200 }, () => MANY.subarray(0, 100_000)));
  for (const send of [
    (response: ServerResponse) => response.end(MANY),
    (response: ServerResponse) => body.pipe(response),
  ]) {
    const { promise, resolve } = Promise.withResolvers<void>();
    respond = (response) => {
      response.once('close', resolve);
      send(response);
    };
    const socket = ask();
    await promise;
    const closed = once(socket, 'close');
    socket.resume();
    await closed;
  }
});

test('an answer that is long in coming is waited for', async () => {
  respond = (response) => {
    // The time is over, and there was nothing to take.
    response.once('timeout', () => response.end('late'));
  };
  const socket = ask();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /late$/);
  socket.destroy();
});
