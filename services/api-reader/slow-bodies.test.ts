import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { until } from '@understudy/harness/until';
import { type FastifyInstance, fastify } from 'fastify';
import { refuseSlowBodies } from './slow-bodies.ts';

/** Bodies that hardly move are given up; those that move are taken, and those that nobody takes are let wait. */
const STRETCH_MS = 400;
let app: FastifyInstance;
let port: number;
/** Whether the stream's reader takes what comes. */
let takes = true;
/** Bodies that came as a whole, and were handed over. */
let bodiesTaken = 0;
before(async () => {
  app = fastify();
  refuseSlowBodies(app, STRETCH_MS);
  app.post('/whole', async (request) => {
    bodiesTaken += 1;
    return { length: JSON.stringify(request.body).length };
  });
  app.register(async (streams) => {
    streams.removeAllContentTypeParsers();
    streams.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    streams.post('/stream', async (request) => {
      let bytes = 0;
      await until('it is taken', async () => takes);
      for await (const chunk of request.raw) bytes += (chunk as Buffer).length;
      return { bytes };
    });
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  port = (app.server.address() as AddressInfo).port;
});
after(() => app?.close());

interface Sender {
  readonly socket: Socket;
  seen(): string;
}

function begin(path: string, length: number): Sender {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  let seen = '';
  socket.on('data', (chunk: Buffer) => {
    seen += chunk.toString('latin1');
  });
  const type = path === '/whole' ? 'application/json' : 'application/octet-stream';
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`,
  );
  return { socket, seen: () => seen };
}

test('who sends nothing more is refused with a fault, whatever the path', async () => {
  for (const path of ['/whole', '/stream']) {
    const { socket, seen } = begin(path, 1_000);
    socket.write('{');
    await once(socket, 'end');
    socket.end();
    assert.match(seen(), /^HTTP\/1\.1 408 /, path);
    assert.deepEqual(JSON.parse(seen().split('\r\n\r\n')[1] ?? ''), {
      exception: true,
      message: 'Understudy: the request came too slowly',
      error_code: 103,
    });
  }
});

test('a byte now and then is not enough', async () => {
  const { socket, seen } = begin('/whole', 100_000);
  const drip = setInterval(() => socket.write(' '), 20);
  try {
    await once(socket, 'end');
  } finally {
    clearInterval(drip);
    socket.destroy();
  }
  assert.match(seen(), /^HTTP\/1\.1 408 /);
});

test('who goes on sending sees the refusal and no broken connection, and what it sent does nothing', async () => {
  const before = bodiesTaken;
  const { socket, seen } = begin('/whole', 12);
  socket.write('{');
  await once(socket, 'end');
  const send = promisify((text: string, sent: (error?: Error | null) => void) => socket.write(text, sent));
  await send('"rest":');
  await send('"of"}');
  socket.end();
  await once(socket, 'close');
  assert.match(seen(), /^HTTP\/1\.1 408 [\s\S]*\}$/);
  assert.equal(bodiesTaken, before);
});

test('who goes on for ever is left', async () => {
  const { socket } = begin('/whole', 1_000);
  socket.write('{');
  await once(socket, 'end');
  let isLeft = false;
  socket.on('error', () => {
    isLeft = true;
  });
  await until('nobody listens any more', async () => {
    socket.write(' ');
    return isLeft;
  });
});

test('a body that moves is taken however long it takes', async () => {
  const pieces = 15;
  const piece = 2_000;
  const { socket, seen } = begin('/stream', pieces * piece);
  for (let sent = 0; sent < pieces; sent += 1) {
    socket.write('x'.repeat(piece));
    // It is the time between the pieces that is tested: several stretches of it.
    await delay(STRETCH_MS / 5);
  }
  await until('it is answered', async () => seen().includes('}'));
  assert.match(seen(), new RegExp(`"bytes":${pieces * piece}`));
  socket.destroy();
});

test('a body that is not taken yet is not the sender’s fault', async () => {
  takes = false;
  const bytes = 8_000_000;
  const { socket, seen } = begin('/stream', bytes);
  socket.write(Buffer.alloc(bytes));
  await delay(3 * STRETCH_MS);
  assert.equal(seen(), '');
  takes = true;
  await until('it is answered', async () => seen().includes('}'));
  assert.match(seen(), new RegExp(`"bytes":${bytes}`));
  socket.destroy();
});

test('requests one behind another on a connection are each their own', async () => {
  const { socket, seen } = begin('/whole', 2);
  socket.write('{}');
  await until('the first is answered', async () => seen().includes('"length"'));
  await delay(2 * STRETCH_MS);
  socket.write(
    'POST /whole HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}',
  );
  await until('the second is answered', async () => seen().split('"length"').length === 3);
  assert.doesNotMatch(seen(), /408/);
  socket.destroy();
});
