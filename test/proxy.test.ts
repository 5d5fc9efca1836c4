import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type Api, entitiesOf, readOf, SCRIPT, send, startApi } from './api-rig.ts';

/** A reader that clients use as their proxy, with a certificate for the site's name and without. */
const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const CERTIFICATE = fixture('tls-certificate.pem');
let api: Api;
before(async () => {
  api = await startApi({
    env: {
      UNDERSTUDY_READER_TLS_CERTIFICATE_FILE: CERTIFICATE,
      UNDERSTUDY_READER_TLS_KEY_FILE: fixture('tls-key.pem'),
      UNDERSTUDY_READER_ALLOWED_SITES: 'other.example.com',
    },
  });
});
after(() => api?.stop());

const READ = JSON.stringify({ method_name: 'read', params: [SCRIPT, readOf('Shot', ['code'])] });
const JSON_TYPE = { 'content-type': 'application/json' };

/** Asks for a tunnel. @returns the socket and the first line of the answer. */
async function tunnelTo(target: string): Promise<{ readonly socket: Socket; readonly answer: string }> {
  const { hostname, port } = new URL(api.readerUrl);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {
    // Refused tunnels are closed.
  });
  socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\n\r\n`);
  const [first] = (await once(socket, 'data')) as readonly Buffer[];
  return { socket, answer: String(first).split('\r\n', 1)[0] ?? '' };
}

async function secureTunnel(): Promise<TLSSocket> {
  const site = new URL(api.siteUrl);
  const { socket, answer } = await tunnelTo(site.host);
  assert.match(answer, /^HTTP\/1\.1 200 /);
  const secure = tlsConnect({ socket, host: site.hostname, ca: await readFile(CERTIFICATE) });
  await once(secure, 'secureConnect');
  return secure;
}

async function answerOver(secure: TLSSocket, request: string): Promise<string> {
  let seen = '';
  secure.on('data', (chunk: Buffer) => {
    seen += chunk.toString('utf8');
  });
  secure.write(request);
  await once(secure, 'end');
  return seen;
}

test('through a tunnel that ends here, the site’s own address is answered from the replica', async () => {
  const { host } = new URL(api.siteUrl);
  const secure = await secureTunnel();
  assert.equal(secure.authorized, true);
  const seen = await answerOver(
    secure,
    `POST /api3/json HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(READ)}\r\nconnection: close\r\n\r\n${READ}`,
  );
  assert.match(seen, /^HTTP\/1\.1 200 OK/);
  assert.match(seen, /\r\nx-understudy: replica\r\n/i);
});

test('a client that breaks off its handshake, or speaks no TLS, harms nobody', async () => {
  const site = new URL(api.siteUrl);
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\u0016\u0003\u0001', '']) {
    const { socket } = await tunnelTo(site.host);
    socket.end(bytes);
    await once(socket, 'close');
  }
  assert.equal((await send(`${api.readerUrl}/ping`)).status, 200);
});

test('tunnels to other places are refused, whatever their spelling', async () => {
  const { port } = new URL(api.siteUrl);
  for (const target of [
    'evil.example.com:443',
    `localhost:${port}`,
    `127.1:${port}`,
    `2130706433:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `x@127.0.0.1:${port}`,
    `127.0.0.1:${Number(port) + 1}`,
    'other.example.com:22',
    '127.0.0.1',
    ':',
  ]) {
    const { socket, answer } = await tunnelTo(target);
    assert.match(answer, /^HTTP\/1\.1 (403|400) /, target);
    socket.destroy();
  }
});

test('requests with the whole address, as proxies get them, are answered for the site and for no other', async () => {
  const post = { method: 'POST', headers: JSON_TYPE, body: READ };
  const ours = await send(api.readerUrl, { ...post, target: `${api.siteUrl}/api3/json` });
  assert.equal(ours.headers['x-understudy'], 'replica');
  assert.ok(entitiesOf(ours).length > 0);
  const other = await send(api.readerUrl, { ...post, target: 'http://evil.example.com/api3/json' });
  assert.equal(other.status, 403);
  const next = await send(api.readerUrl, { ...post, target: `/next=${new URL(api.siteUrl).host}/api3/json` });
  assert.equal(next.headers['x-understudy'], 'replica');
});

test('pages of the web application lead to the real site', async () => {
  for (const path of ['/', '/page/12', '/detail/Shot/7', '/user/login']) {
    const page = await send(`${api.readerUrl}${path}`);
    assert.equal(page.status, 302, path);
    assert.equal(page.headers['location'], `${api.siteUrl}${path}`);
  }
});
