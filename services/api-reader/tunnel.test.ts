import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { pino } from 'pino';
import { allowedSites } from './sites.ts';
import { tunnels } from './tunnel.ts';

/** Connections through a tunnel end as they would without it. */
let proxy: Server;
let site: Server;
let closeTunnels: () => void;
/** What the site does with a connection. */
let serve: (connection: Socket) => void;

before(async () => {
  site = createServer({ allowHalfOpen: true }, (connection) => serve(connection));
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  const { port } = site.address() as AddressInfo;
  const http = createHttpServer();
  proxy = http;
  const sites = allowedSites(`http://127.0.0.1:${port}`, []);
  closeTunnels = tunnels({ server: http, sites, tls: null, log: pino({ level: 'silent' }) });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
});
after(() => {
  closeTunnels();
  proxy.close();
  site.close();
});

async function tunnel(): Promise<Socket> {
  const { port: sitePort } = site.address() as AddressInfo;
  const { port } = proxy.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.write(`CONNECT 127.0.0.1:${sitePort} HTTP/1.1\r\nhost: a\r\n\r\n`);
  const [established] = (await once(socket, 'data')) as [Buffer];
  assert.equal(established.toString(), 'HTTP/1.1 200 Connection Established\r\n\r\n');
  return socket;
}

test('whoever reads slowly gets all that was sent before the end', async () => {
  const bytes = 20_000_000;
  serve = (connection) => {
    connection.once('data', () => connection.end(Buffer.alloc(bytes)));
  };
  const socket = await tunnel();
  let seen = 0;
  socket.on('data', (chunk: Buffer) => {
    seen += chunk.length;
    socket.pause();
    setTimeout(() => socket.resume(), 1);
  });
  socket.write('all of it');
  await once(socket, 'end');
  socket.end();
  assert.equal(seen, bytes);
});

test('the end waits until what came before it is taken', async () => {
  serve = (connection) => {
    connection.resume();
    connection.end('answer');
  };
  const { port } = site.address() as AddressInfo;
  let taken = '';
  const client = new Duplex({
    read() {},
    write: (chunk: Buffer, _encoding, done) => {
      setImmediate(() => {
        site.getConnections((_error, open) => {
          if (open > 0) return client._write(chunk, 'binary', done);
          taken += chunk.toString();
          done();
        });
      });
    },
  });
  proxy.emit('connect', { url: `127.0.0.1:${port}` }, client, Buffer.alloc(0));
  await once(client, 'close');
  assert.match(taken, /answer$/);
});

test('whoever said all there is to say is still answered', async () => {
  serve = (connection) => {
    connection.resume();
    connection.once('end', () => connection.end('answer'));
  };
  const socket = await tunnel();
  socket.end('question');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.equal(answer.toString(), 'answer');
  await once(socket, 'close');
});

test('a client that is gone takes its connection to the site with it', async () => {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  serve = resolve;
  const socket = await tunnel();
  const connection = await promise;
  connection.on('error', () => {
    // It may be reset: nobody is there any more.
  });
  socket.resetAndDestroy();
  connection.resume();
  await until('the site is left', async () => connection.readableEnded || connection.destroyed);
  connection.destroy();
});
