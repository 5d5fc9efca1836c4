import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type Api, entitiesOf, readOf, SCRIPT, send, startApi } from './api-rig.ts';

/** A reader that clients use as their proxy, with a certificate for the site's name and without. */
const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const CERTIFICATE = fixture('tls-certificate.pem');
let api: Api;
/** Another allowed site: tells what it was asked. */
let other: Server;
let otherHost: string;
let onOther: (request: IncomingMessage, body: string, reply: ServerResponse) => void;
before(async () => {
  const [cert, key] = await Promise.all([readFile(CERTIFICATE), readFile(fixture('tls-key.pem'))]);
  setDefaultCACertificates([...getCACertificates('default'), String(cert)]);
  other = createServer({ cert, key }, async (request, reply) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    onOther(request, body, reply);
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  otherHost = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  api = await startApi({
    env: {
      UNDERSTUDY_READER_TLS_CERTIFICATE_FILE: CERTIFICATE,
      UNDERSTUDY_READER_TLS_KEY_FILE: fixture('tls-key.pem'),
      UNDERSTUDY_READER_ALLOWED_SITES: `other.example.com,${otherHost}`,
    },
  });
});
after(async () => {
  await api?.stop();
  other?.close();
});

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
    `0x7f000001:${port}`,
    `0177.0.0.1:${port}`,
    `127.0.0.1.:${port}`,
    `[::1]:${port}`,
    `127.0.0.1%00:${port}`,
    `%3127.0.0.1:${port}`,
    `127.0.0.1:0${port}`,
    `127.0.0.1:${port}@evil.example.com:443`,
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

/** What the other site was asked, as it says it itself. */
interface Asked {
  readonly method: string;
  readonly url: string;
  readonly host: string;
  readonly cookie?: string;
  readonly body: string;
}

const tellBack = (request: IncomingMessage, body: string, reply: ServerResponse): void => {
  const { host, cookie } = request.headers;
  reply.writeHead(200, { 'content-type': 'application/json', 'set-cookie': 'a=b' });
  reply.end(JSON.stringify({ method: request.method, url: request.url, host, cookie, body }));
};

test('everything under another allowed site is that site’s: calls, files both ways, REST', async () => {
  onOther = tellBack;
  for (const ahead of [`${api.readerUrl}/next=${otherHost}`, `https://${otherHost}`]) {
    const ask = (method: string, path: string, body?: string, type = 'application/json'): Promise<Asked> =>
      send(api.readerUrl, {
        method,
        target: ahead.replace(api.readerUrl, '') + path,
        headers: { cookie: '_session_id=x', ...(body === undefined ? {} : { 'content-type': type }) },
        ...(body === undefined ? {} : { body }),
      }).then((reply) => {
        assert.equal(reply.status, 200, reply.text);
        assert.match(String(reply.headers['x-understudy']), /^site; reason=(other-site|media|rest)$/);
        return reply.json as unknown as Asked;
      });
    const called = await ask('POST', '/api3/json', READ);
    assert.deepEqual([called.url, called.body, called.host], ['/api3/json', READ, otherHost]);
    for (const path of ['/file_serve/attachment/7', '/thumbnail/x?a=%20b', '/files/a.mov', '/images/b.png'])
      assert.deepEqual(
        await ask('GET', path),
        { method: 'GET', url: path, host: otherHost, cookie: '_session_id=x', body: '' },
        path,
      );
    const form = 'entity_type=Version&entity_id=1';
    const upload = await ask('POST', '/upload/upload_file', form, 'application/x-www-form-urlencoded');
    assert.deepEqual([upload.method, upload.url, upload.body], ['POST', '/upload/upload_file', form]);
    const rest = await ask('PUT', '/api/v1/entity/shots/1', '{"code":"x"}');
    assert.deepEqual([rest.method, rest.url, rest.body], ['PUT', '/api/v1/entity/shots/1', '{"code":"x"}']);
  }
  const shot = entitiesOf(
    await send(`${api.readerUrl}/api3/json`, { method: 'POST', headers: JSON_TYPE, body: READ }),
  );
  assert.ok(shot.length > 0, 'what was written there concerns nothing here');
});

test('encoded, a way to another site is none, or one to an allowed site', async () => {
  onOther = tellBack;
  for (const path of [
    '/%6Eext=evil.example.com/api3/json',
    '/%6eext=evil.example.com/upload/x',
    '/next=evil.example.com%2Fapi3/json',
    '/next=evil.example.com%252Fapi3%252Fjson',
    '/next=%2e%2e/api3/json',
    '//next=evil.example.com/api3/json',
    '/./next=evil.example.com/api3/json',
    '/x/../next=evil.example.com/api3/json',
    '/%2e%2e/next=evil.example.com/api3/json',
    '/next%3Devil.example.com/api3/json',
    `/next=${otherHost}/next=evil.example.com/api3/json`,
  ])
    for (const method of ['POST', 'GET']) {
      const reply = await send(api.readerUrl, {
        method,
        target: path,
        headers: JSON_TYPE,
        ...(method === 'GET' ? {} : { body: READ }),
      });
      assert.ok(
        reply.status === 403 || reply.status === 404 || reply.status === 302,
        `${reply.status} ${path}`,
      );
      const location = reply.headers['location'];
      if (reply.status === 302) assert.equal(new URL(String(location)).origin, api.siteUrl, path);
    }
});

test('where a site redirects a call or a file to is for the client to follow, not for the reader', async () => {
  let asked = 0;
  onOther = (_request, _body, reply) => {
    asked += 1;
    reply.writeHead(302, { location: `${api.siteUrl}/_sandbox` }).end();
  };
  for (const [method, path] of [
    ['POST', '/api3/json'],
    ['GET', '/file_serve/attachment/1'],
    ['GET', '/api/v1/entity/shots'],
    ['POST', '/upload/upload_file'],
  ] as const) {
    const reply = await send(api.readerUrl, {
      method,
      target: `/next=${otherHost}${path}`,
      headers: JSON_TYPE,
      ...(method === 'GET' ? {} : { body: READ }),
    });
    assert.equal(reply.status, 302, path);
    assert.equal(reply.headers['location'], `${api.siteUrl}/_sandbox`);
  }
  assert.equal(asked, 4);
});

test('what another site fails at is told as it is for the replicated one', async () => {
  onOther = (request, _body, reply) => {
    if (request.url === '/api3/json') request.socket.destroy();
    else reply.writeHead(502).end();
  };
  const target = `/next=${otherHost}`;
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const upload = await send(api.readerUrl, {
    method: 'POST',
    target: `${target}/upload/upload_file`,
    headers: form,
    body: 'entity_type=Version',
  });
  assert.deepEqual([upload.status, upload.text[0]], [200, '0']);
  const create = JSON.stringify({ method_name: 'create', params: [SCRIPT, { type: 'Shot', fields: [] }] });
  const lost = await send(api.readerUrl, {
    method: 'POST',
    target: `${target}/api3/json`,
    headers: JSON_TYPE,
    body: create,
  });
  assert.deepEqual([lost.status, lost.json.exception], [200, true]);
  assert.match(String(lost.json.message), /may have been done/);
});

test('pages of another allowed site lead to it; what names no allowed site leads nowhere', async () => {
  for (const path of ['/', '/page/12?x=%2F', '//evil.example.com', '/@evil.example.com/']) {
    const page = await send(api.readerUrl, { target: `/next=${otherHost}${path}` });
    assert.equal(page.status, 302, path);
    assert.equal(page.headers['location'], `https://${otherHost}${path}`);
  }
  const nothing = await send(api.readerUrl, { method: 'POST', target: `/next=${otherHost}/page`, body: '{' });
  assert.equal(nothing.status, 404);
  for (const path of ['/api3/json', '/upload/upload_file', '/file_serve/attachment/1', '/api/v1', '/x'])
    for (const method of ['GET', 'POST', 'PUT', 'DELETE'])
      for (const host of [
        'evil.example.com',
        '-',
        '127.0.0.1',
        `${otherHost}1`,
        `x@${otherHost}`,
        otherHost.replace('127.0.0.1', '2130706433'),
        otherHost.replace('127.0.0.1', '0x7f.0.0.1'),
        otherHost.replace('127.0.0.1', '[::ffff:127.0.0.1]'),
        otherHost.replace('127', '%31%32%37'),
        otherHost.replace('127', '%2531%2532%2537'),
        otherHost.replace(':', '.:'),
        '%65vil.example.com',
        '__proto__',
      ]) {
        const refused = await send(api.readerUrl, {
          method,
          target: `/next=${host}${path}`,
          headers: JSON_TYPE,
          ...(method === 'POST' || method === 'PUT' ? { body: READ } : {}),
        });
        assert.equal(refused.status, 403, `${method} ${host}${path}`);
      }
});
