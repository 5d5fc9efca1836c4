import assert from 'node:assert/strict';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { after, before, beforeEach, test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { until } from '@understudy/harness/until';
import { localBudget } from '@understudy/site-client/budget';
import { type FastifyInstance, fastify } from 'fastify';
import { pino } from 'pino';
import { media } from './media.ts';
import { createRefreshDebt, type RefreshDebt } from './refresh-debt.ts';
import { createSiteReach } from './site-reach.ts';
import { createUpstream, type Upstream } from './upstream.ts';

/** Files go through in both directions without being held, over a site that is only a store of files. */
const MEGABYTE = 1024 * 1024;
const FILE_MEGABYTES = 500;
/** What both ends, which run in this process too, and the reader hold together, with what waits to be collected. */
const HELD_MEGABYTES = 250;
const log = pino({ level: 'silent' });

type Handler = (request: IncomingMessage, reply: ServerResponse) => void;
let onSite: Handler;
const site = createServer((request, reply) => onSite(request, reply));
let app: FastifyInstance;
let upstream: Upstream;
let debt: RefreshDebt;
let schemaChanges = 0;
let url: string;

before(async () => {
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  upstream = createUpstream({
    url: `http://127.0.0.1:${(site.address() as AddressInfo).port}`,
    timeoutMs: 5_000,
    connections: 8,
    budget: localBudget({ concurrency: 8 }),
    reach: createSiteReach(),
  });
});
beforeEach(async () => {
  await app?.close();
  app = fastify();
  debt = createRefreshDebt(log);
  media(app, {
    upstreamOf: () => upstream,
    settling: { debt, replica: () => null, log },
    schemaChanged: async () => {
      schemaChanges += 1;
    },
    prefix: '',
  });
  url = await app.listen({ host: '127.0.0.1', port: 0 });
});
after(async () => {
  await app?.close();
  await upstream?.close();
  site.close();
});

const CHUNK = Buffer.alloc(MEGABYTE, 'x');
let heldMax = 0;
function* file(megabytes: number): Generator<Buffer> {
  for (let sent = 0; sent < megabytes; sent += 1) {
    heldMax = Math.max(heldMax, process.memoryUsage().arrayBuffers / MEGABYTE);
    yield CHUNK;
  }
}

async function bytesIn(stream: Readable): Promise<number> {
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await finished(stream);
  return bytes;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingMessage['headers'];
}

function post(path: string, headers: Record<string, string>, body: Readable | string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${url}${path}`, { method: 'POST', headers, agent: false }, async (reply) => {
      let text = '';
      for await (const chunk of reply) text += String(chunk);
      resolve({ status: reply.statusCode ?? 0, text, headers: reply.headers });
    });
    request.on('error', reject);
    if (typeof body === 'string') request.end(body);
    else body.pipe(request);
  });
}

const FORM = 'multipart/form-data; boundary=bb';
const field = (name: string, value: string): string =>
  `--bb\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const FIELDS = field('entity_type', 'Version') + field('entity_id', '12');
const FILE = '--bb\r\nContent-Disposition: form-data; name="file"; filename="big.mov"\r\n\r\n';

test('a large upload is never held in memory, and what it changed is to be fetched', async () => {
  let received = 0;
  onSite = async (request, reply) => {
    received = await bytesIn(request);
    reply.end('1:77\n');
  };
  heldMax = 0;
  const before = process.memoryUsage().arrayBuffers / MEGABYTE;
  const body = Readable.from(
    (function* () {
      yield Buffer.from(FIELDS + FILE);
      yield* file(FILE_MEGABYTES);
      yield Buffer.from('\r\n--bb--\r\n');
    })(),
  );
  const answer = await post('/upload/upload_file', { 'content-type': FORM }, body);
  assert.equal(answer.status, 200);
  assert.equal(answer.text, '1:77\n');
  assert.ok(received > FILE_MEGABYTES * MEGABYTE);
  assert.ok(heldMax - before < HELD_MEGABYTES, `${heldMax - before} MB were held`);
  assert.equal(debt.isOpen, true);
});

test('a large download is never held in memory, however slow its reader is', async () => {
  onSite = (_request, reply) => {
    reply.writeHead(200, { 'content-type': 'video/quicktime' });
    Readable.from(file(FILE_MEGABYTES)).pipe(reply);
  };
  heldMax = 0;
  const before = process.memoryUsage().arrayBuffers / MEGABYTE;
  const reply = await new Promise<IncomingMessage>((resolve, reject) =>
    httpRequest(`${url}/file_serve/attachment/7`, { agent: false }, resolve).on('error', reject).end(),
  );
  assert.equal(reply.headers['content-type'], 'video/quicktime');
  let turns = 0;
  reply.on('data', () => {
    turns += 1;
    // A reader that stops now and then: what it does not take must wait at the site.
    if (turns % 50 !== 0) return;
    reply.pause();
    setImmediate(() => reply.resume());
  });
  await finished(reply);
  assert.ok(heldMax - before < HELD_MEGABYTES, `${heldMax - before} MB were held`);
});

test('an upload that the site fails, loses or never gets is told with 200 and 0, and sent once', async () => {
  let asked = 0;
  const form = { 'content-type': FORM };
  const body = `${FIELDS}--bb--\r\n`;
  onSite = (request, reply) => {
    asked += 1;
    request.resume().on('end', () => reply.writeHead(502).end());
  };
  const failed = await post('/upload/upload_file', form, body);
  assert.deepEqual([failed.status, failed.text[0]], [200, '0']);
  assert.equal(debt.isOpen, true, 'a gateway that failed may have passed it on');
  onSite = (request) => {
    asked += 1;
    request.resume().on('end', () => request.socket.destroy());
  };
  const lost = await post('/upload/publish_thumbnail', form, body);
  assert.deepEqual([lost.status, lost.text[0]], [200, '0']);
  assert.match(lost.text, /may have been done/);
  assert.equal(asked, 2);
});

test('a refusal of the site is passed on as it is, and changed nothing', async () => {
  onSite = (request, reply) => {
    request.resume().on('end', () => reply.end('0\nno such entity'));
  };
  const answer = await post('/upload/upload_file', { 'content-type': FORM }, `${FIELDS}--bb--\r\n`);
  assert.equal(answer.text, '0\nno such entity');
  assert.equal(debt.isOpen, false);
});

test('a reply that is packed for the client is read all the same', async () => {
  for (const [encoding, pack] of [
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as const) {
    onSite = (request, reply) => {
      request.resume();
      request.on('end', () =>
        reply.writeHead(200, { 'content-encoding': encoding }).end(pack('0\nno such entity')),
      );
    };
    const answer = await post('/upload/upload_file', { 'content-type': FORM }, `${FIELDS}--bb--\r\n`);
    assert.equal(answer.status, 200);
    assert.equal(debt.isOpen, false, encoding);
  }
});

test('what a browser asks before it calls the REST API is the site’s to answer', async () => {
  onSite = (request, reply) => {
    reply.writeHead(204, { 'access-control-allow-origin': '*', allow: String(request.method) }).end();
  };
  const answer = await fetch(`${url}/api/v1/entity/shots`, { method: 'OPTIONS' });
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  assert.equal(answer.headers.get('allow'), 'OPTIONS');
});

test('a thumbnail that is not ready is told as it is', async () => {
  onSite = (request, reply) => {
    request.resume().on('end', () => reply.end('2\nnot ready'));
  };
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await post('/upload/share_thumbnail', form, 'entities=Shot_1&source_entity=Version_2');
  assert.equal(answer.text, '2\nnot ready');
});

test('a client that breaks an upload off breaks it off at the site too', async () => {
  let broken = false;
  let begun = false;
  onSite = (request) => {
    begun = true;
    request.resume();
    request.on('error', () => {
      broken = true;
    });
    request.on('close', () => {
      broken = true;
    });
  };
  const request = httpRequest(`${url}/upload/upload_file`, {
    method: 'POST',
    headers: { 'content-type': FORM, 'content-length': '1000000' },
    agent: false,
  });
  request.on('error', () => {
    // It is this test that gives it up.
  });
  request.write(FIELDS + FILE);
  await until('the site sees the upload', async () => begun);
  request.destroy();
  await until('the site sees it break off', async () => broken);
});

test('a change of the schema through the REST API is told of before the reply, a refused one is not', async () => {
  onSite = (request, reply) => {
    request.resume();
    reply.writeHead(request.url?.endsWith('/refused') ? 400 : 201).end('{}');
  };
  const before = schemaChanges;
  const json = { 'content-type': 'application/json' };
  assert.equal((await post('/api/v1/schema/Shot/fields/refused', json, '{}')).status, 400);
  assert.equal(schemaChanges, before);
  assert.equal((await post('/api/v1.1/schema/Shot/fields', json, '{}')).status, 201);
  assert.equal(schemaChanges, before + 1);
});

test('a write of the REST API whose answer is lost is told as REST tells of failures, and changed the schema perhaps', async () => {
  const json = { 'content-type': 'application/json' };
  for (const fail of [
    (reply: ServerResponse) => reply.destroy(),
    (reply: ServerResponse) => reply.writeHead(504).end(),
  ]) {
    let asked = 0;
    onSite = (request, reply) => {
      request.resume().on('end', () => {
        asked += 1;
        fail(reply);
      });
    };
    const before = schemaChanges;
    for (const path of [
      '/api/v1/schema/Shot/fields',
      '/api/v1/entity/shots',
      '/api/v1/entity/_batch',
      '/api/v1/webhook/hooks',
    ]) {
      const { status, text } = await post(path, json, '{}');
      assert.equal(status, 500, path);
      const [error] = (JSON.parse(text) as { errors: { status: number; code: number; title: string }[] })
        .errors;
      assert.deepEqual([error?.status, error?.code], [500, 104]);
      assert.match(error?.title ?? '', /may have been done/);
    }
    assert.equal(schemaChanges, before + 1);
    assert.equal(asked, 4);
  }
  // What only reads may be asked again.
  onSite = (request, reply) => request.resume().on('end', () => reply.writeHead(504).end());
  assert.equal((await post('/api/v1/entity/shots/_search', json, '{}')).status, 504);
  onSite = (request) => request.socket.destroy();
  assert.equal((await post('/api/v1/entity/shots/_search', json, '{}')).status, 503);
});

test('redirects and cookies go through as they are', async () => {
  onSite = (request, reply) => {
    reply.writeHead(302, {
      location: 'https://store.example.com/signed?x=1',
      'set-cookie': `seen=${request.headers.cookie}`,
    });
    reply.end();
  };
  const answer = await fetch(`${url}/file_serve/attachment/7`, {
    redirect: 'manual',
    headers: { cookie: '_session_id=abc' },
  });
  assert.equal(answer.status, 302);
  assert.equal(answer.headers.get('location'), 'https://store.example.com/signed?x=1');
  assert.equal(answer.headers.get('set-cookie'), 'seen=_session_id=abc');
});

test('parts of a file may be asked for', async () => {
  onSite = (request, reply) => {
    reply.writeHead(206, { 'content-range': 'bytes 0-3/10' }).end(String(request.headers.range));
  };
  const answer = await fetch(`${url}/files/0000/a.mov`, { headers: { range: 'bytes=0-3' } });
  assert.equal(answer.status, 206);
  assert.equal(await answer.text(), 'bytes=0-3');
});
