import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { SiteAnswerLost, SiteProtocolError, SiteUnavailable } from './faults.ts';
import { createTransport, type SendOptions, type Transport, type TransportOptions } from './transport.ts';

const TIMEOUT_MS = 200;
const BYTES_MAX = 10_000;
const READ: SendOptions = { isWrite: false };
const WRITE: SendOptions = { isWrite: true };

interface Site {
  readonly transport: Transport;
  readonly requests: {
    readonly body: string;
    readonly headers: IncomingMessage['headers'];
    readonly path: string;
  }[];
}

/** A real server that answers as told, once it has read the request. */
async function withSite(
  answer: RequestListener,
  work: (site: Site) => Promise<void>,
  options: Partial<TransportOptions> & { readonly path?: string; readonly login?: string } = {},
): Promise<void> {
  const requests: Site['requests'] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    requests.push({ body, headers: request.headers, path: request.url ?? '' });
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const transport = createTransport({
    url: `http://${options.login ?? ''}127.0.0.1:${port}${options.path ?? ''}`,
    timeoutMs: TIMEOUT_MS,
    connections: 4,
    userAgent: 'test',
    responseBytesMax: BYTES_MAX,
    ...options,
  });
  try {
    await work({ transport, requests });
  } finally {
    server.closeAllConnections();
    server.close();
    await transport.close();
  }
}

const json =
  (text: string, headers: Readonly<Record<string, string>> = {}) =>
  (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(text);
  };

/** What goes wrong, and what a read and a write make of it. A write is never said to be undone when it may be done. */
const FAULTS: readonly (readonly [string, RequestListener, typeof SiteUnavailable, typeof SiteAnswerLost])[] =
  [
    ['closes the connection', (request) => request.socket.destroy(), SiteUnavailable, SiteAnswerLost],
    [
      'closes in the middle of the answer',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '100' }).write('{"results":');
        setImmediate(() => response.destroy());
      },
      SiteUnavailable,
      SiteAnswerLost,
    ],
    ['never answers', () => {}, SiteUnavailable, SiteAnswerLost],
    [
      'stops in the middle of the answer',
      (_request, response) => void response.writeHead(200).write('{"results":'),
      SiteUnavailable,
      SiteAnswerLost,
    ],
    [
      'does not speak HTTP',
      (request) => void request.socket.end('nonsense\r\n'),
      SiteUnavailable,
      SiteAnswerLost,
    ],
    ...[500, 502, 503, 504].map(
      (status) =>
        [
          `answers ${status}`,
          (_request: IncomingMessage, response: ServerResponse) =>
            void response.writeHead(status).end('<html>'),
          SiteUnavailable,
          SiteAnswerLost,
        ] as const,
    ),
    ['answers HTML', json('<html>'), SiteProtocolError, SiteAnswerLost],
    ['answers nothing', json(''), SiteProtocolError, SiteAnswerLost],
    ['answers half a value', json('{"results": '), SiteProtocolError, SiteAnswerLost],
    [
      'answers what is not UTF-8',
      (_request, response) => void response.end(Buffer.from('{"results": "\xe9"}', 'latin1')),
      SiteProtocolError,
      SiteAnswerLost,
    ],
    ['answers too much', json(JSON.stringify('x'.repeat(BYTES_MAX))), SiteProtocolError, SiteAnswerLost],
    [
      'answers what unpacks to too much',
      (_request, response) =>
        void response
          .writeHead(200, { 'content-encoding': 'gzip' })
          .end(gzipSync(`"${'x'.repeat(BYTES_MAX)}"`)),
      SiteProtocolError,
      SiteAnswerLost,
    ],
    ['packs wrongly', json('{}', { 'content-encoding': 'gzip' }), SiteProtocolError, SiteAnswerLost],
  ];

for (const [what, answer, readError, writeError] of FAULTS) {
  test(`when the site ${what}, a read fails with ${readError.name}, a write with ${writeError.name}`, async () => {
    await withSite(answer, async ({ transport, requests }) => {
      await assert.rejects(transport.send('{}', READ), readError);
      await assert.rejects(transport.send('{}', WRITE), writeError);
      assert.equal(requests.length, 2, 'each was sent once');
    });
  });
}

test('a site that does not speak TLS was sent nothing', async () => {
  const server = createServer(() => assert.fail('no request can have arrived')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = createTransport({
    url,
    timeoutMs: 5_000,
    connections: 1,
    userAgent: 'test',
    responseBytesMax: 1,
  });
  await assert.rejects(transport.send('{}', WRITE), SiteUnavailable);
  await transport.close();
  server.close();
});

for (const status of [301, 302, 307, 308, 400, 401, 403, 404]) {
  test(`${status} is an answer, and not followed`, async () => {
    await withSite(
      (_request, response) => void response.writeHead(status, { location: '/elsewhere' }).end('{}'),
      async ({ transport, requests }) => {
        await assert.rejects(transport.send('{}', READ), SiteProtocolError);
        await assert.rejects(transport.send('{}', WRITE), SiteProtocolError);
        assert.deepEqual(
          requests.map(({ path }) => path),
          ['/api3/json', '/api3/json'],
        );
      },
    );
  });
}

test('a write refused for too many requests was not done', async () => {
  await withSite(
    (_request, response) => void response.writeHead(429).end(),
    async ({ transport }) => {
      await assert.rejects(transport.send('{}', WRITE), SiteUnavailable);
    },
  );
});

test('a write that found no connection was not sent', async () => {
  const nobody = createServer().listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const { port } = nobody.address() as AddressInfo;
  nobody.close();
  await once(nobody, 'close');
  for (const url of [`http://127.0.0.1:${port}`, `https://127.0.0.1:${port}`, 'http://site.invalid']) {
    const transport = createTransport({
      url,
      timeoutMs: 5_000,
      connections: 1,
      userAgent: 'test',
      responseBytesMax: 1,
    });
    await assert.rejects(transport.send('{}', WRITE), SiteUnavailable);
    await transport.close();
  }
});

test('a write that waited too long for a connection was not sent', async () => {
  await withSite(
    // The first is given up a moment before the second; no other connection is to be had in that moment.
    ({ socket }) => (socket as unknown as { readonly server: Server }).server.close(),
    async ({ transport, requests }) => {
      const first = assert.rejects(transport.send('"first"', WRITE), SiteAnswerLost);
      await assert.rejects(transport.send('"second"', WRITE), SiteUnavailable);
      await first;
      assert.deepEqual(
        requests.map(({ body }) => body),
        ['"first"'],
      );
    },
    { connections: 1 },
  );
});

test('a caller who gives up gets the reason, but a write that was sent may be done', async () => {
  const abort = new AbortController();
  await withSite(
    () => abort.abort(new Error('gave up')),
    async ({ transport }) => {
      await assert.rejects(transport.send('{}', { isWrite: true, signal: abort.signal }), SiteAnswerLost);
      await assert.rejects(transport.send('{}', { isWrite: true, signal: abort.signal }), /gave up/);
      await assert.rejects(transport.send('{}', { isWrite: false, signal: abort.signal }), /gave up/);
    },
  );
});

for (const [encoding, pack] of [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
] as const) {
  test(`an answer packed with ${encoding} is unpacked`, async () => {
    await withSite(
      (request, response) => {
        assert.match(request.headers['accept-encoding'] ?? '', new RegExp(encoding));
        response.writeHead(200, { 'content-encoding': encoding }).end(pack('{"results": "é\\u0000🎬"}'));
      },
      async ({ transport }) => {
        assert.deepEqual((await transport.send('{}', READ)).reply, { results: 'é\u0000🎬' });
      },
    );
  });
}

test('the body travels as it is, on one connection, and the clock comes from the Date header', async () => {
  const ports = new Set<number | undefined>();
  await withSite(
    (request, response) => {
      ports.add(request.socket.remotePort);
      json('{"results": 1}', { date: 'Tue, 02 Jan 2024 03:04:05 GMT' })(request, response);
    },
    async ({ transport, requests }) => {
      for (const body of ['{"a":"é"}', '{"b":"镜头"}']) {
        const { reply, siteTime } = await transport.send(body, { isWrite: false, requestId: 'r-1' });
        assert.deepEqual(reply, { results: 1 });
        assert.equal(siteTime.toISOString(), '2024-01-02T03:04:05.000Z');
        assert.equal(requests.at(-1)?.body, body);
      }
      const headers = requests[0]?.headers;
      assert.equal(headers?.['content-type'], 'application/json; charset=utf-8');
      assert.equal(headers?.['x-request-id'], 'r-1');
      assert.equal(headers?.['user-agent'], 'test');
      assert.equal(ports.size, 1);
    },
    { connections: 1 },
  );
});

for (const [path, expected] of [
  ['', '/api3/json'],
  ['/', '/api3/json'],
  ['/sub', '/api3/json'],
  ['/sub/', '/sub/api3/json'],
] as const) {
  test(`a site at "${path}" is asked at ${expected}`, async () => {
    await withSite(
      json('{}'),
      async ({ transport, requests }) => {
        await transport.send('{}', READ);
        assert.equal(requests[0]?.path, expected);
      },
      { path },
    );
  });
}

test('credentials in the address become a header, and are in no message', async () => {
  await withSite(
    (_request, response) => void response.writeHead(403).end(),
    async ({ transport, requests }) => {
      await assert.rejects(transport.send('{}', READ), (error: unknown) => {
        assert.ok(error instanceof SiteProtocolError);
        assert.doesNotMatch(error.message, /s%40|s@cret|user/);
        return true;
      });
      assert.equal(requests[0]?.headers.authorization, `Basic ${btoa('user:s@cret')}`);
    },
    { login: 'user:s%40cret@' },
  );
});

test('what is no address of a site is refused', () => {
  const options = { timeoutMs: 1, connections: 1, userAgent: 'test', responseBytesMax: 1 };
  for (const url of ['', 'studio.example.com', 'ftp://studio.example.com'])
    assert.throws(() => createTransport({ url, ...options }), TypeError, url);
});
