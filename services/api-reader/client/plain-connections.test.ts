import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { until } from '@understudy/harness/until';
import fc from 'fast-check';
import type { ApiClient } from './api-client.ts';
import { NodeClient } from './node-client.ts';
import { type PlainConnections, takePlainRequests } from './plain-connections.ts';

/**
 * Whoever takes a request off its connection, the client finds the same. The same bytes are sent to a server that takes plain
 * requests and to one that does not; the answers, and when the connection ends, have to be the same.
 */
const LARGE_BYTES = 100_000;
const KEEP_ALIVE_MS = 60_000;

/** What a call asks to be answered with. */
function answer(client: ApiClient, body: Buffer): void {
  const { host, 'x-note': note } = client.headers;
  const said = JSON.stringify({
    host,
    note,
    length: body.length,
    body: body.toString('latin1').slice(0, 40),
  });
  const headers = ['content-type', 'application/json', 'set-cookie', ['a=1', 'b=2']] as const;
  const how = String(note);
  if (how.startsWith('stream')) {
    const pieces = [said, '', 'é', 'x'.repeat(LARGE_BYTES)].map((text) => Buffer.from(text));
    const length = pieces.reduce((sum, { length: one }) => sum + one, 0);
    const counted = how.endsWith('counted') ? ['content-length', `${length}`] : [];
    client.stream(
      { statusCode: 201, headers: [...headers, ...counted], body: Readable.from(pieces) },
      false,
      () => {},
    );
    return;
  }
  const whole = how === 'large' ? Buffer.from('é'.repeat(LARGE_BYTES)) : said;
  const length = typeof whole === 'string' ? whole.length : whole.length;
  const answered = {
    statusCode: 200,
    headers: [...headers, 'content-length', `${length}`],
    body: whole,
    sent: null,
  };
  // Answers come later, as those of a database do.
  setImmediate(() => client.send(answered, how === 'close'));
}

interface Rig {
  readonly server: Server;
  readonly port: number;
  readonly plain: PlainConnections | null;
  /** Requests that Node's server took. */
  seenByNode: number;
}

async function listen(takesPlain: boolean, take: (client: ApiClient, body: Buffer) => void): Promise<Rig> {
  const server = createServer((request, response) => {
    rig.seenByNode += 1;
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('error', () => {});
    request.on('end', () => {
      if (request.method === 'POST' && request.url === '/api3/json')
        take(new NodeClient(request, response), Buffer.concat(pieces));
      else response.end(`${request.method} ${request.url}`);
    });
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const plain = takesPlain
    ? takePlainRequests(server, { take, keepAliveMs: KEEP_ALIVE_MS, bodyBytesMax: 300_000 })
    : null;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const rig: Rig = { server, port: (server.address() as AddressInfo).port, plain, seenByNode: 0 };
  return rig;
}

function open({ port }: Rig): { readonly socket: Socket; seen(): Buffer } {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const pieces: Buffer[] = [];
  socket.on('data', (piece) => pieces.push(piece));
  socket.on('error', () => {
    // What was answered before counts.
  });
  return { socket, seen: () => Buffer.concat(pieces) };
}

/** Sends pieces, each by itself as far as the network allows, and gives what came until the server closed. */
async function exchange(rig: Rig, pieces: readonly Buffer[]): Promise<Buffer> {
  const { socket, seen } = open(rig);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  return seen();
}

interface Response {
  readonly status: string;
  readonly headers: readonly string[];
  readonly body: string;
}

/** Headers of the connection and of the moment. */
const PASSING = /^(date|connection|keep-alive):/;

/** What answers say, however they are cut into pieces. */
function responsesIn(bytes: Buffer): readonly Response[] {
  const responses: Response[] = [];
  let text = bytes.toString('latin1');
  while (text !== '') {
    const headEnd = text.indexOf('\r\n\r\n');
    assert.notEqual(headEnd, -1, `no head: ${text.slice(0, 200)}`);
    const [status = '', ...lines] = text.slice(0, headEnd).split('\r\n');
    const headers = lines.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase()));
    text = text.slice(headEnd + 4);
    let body = '';
    if (headers.includes('transfer-encoding: chunked')) {
      for (let size = -1; size !== 0; ) {
        const end = text.indexOf('\r\n');
        size = Number.parseInt(text.slice(0, end), 16);
        body += text.slice(end + 2, end + 2 + size);
        text = text.slice(end + 2 + size + 2);
      }
    } else {
      const length = Number(/^content-length: (\d+)$/m.exec(headers.join('\n'))?.[1] ?? 0);
      assert.ok(text.length >= length, 'a body that breaks off');
      body = text.slice(0, length);
      text = text.slice(length);
    }
    responses.push({ status, headers: headers.filter((line) => !PASSING.test(line)).toSorted(), body });
  }
  return responses;
}

const call = (body: string, note = 'whole', more = ''): string =>
  `POST /api3/json HTTP/1.1\r\nHost: reader\r\nX-Note: ${note}\r\n${more}content-length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`;

describe('plain requests', () => {
  let plain: Rig;
  let node: Rig;
  before(async () => {
    plain = await listen(true, answer);
    node = await listen(false, answer);
  });
  after(() => {
    for (const { server } of [plain, node]) {
      server.close();
      server.closeAllConnections();
    }
  });

  const body = fc.oneof(
    fc.string({ minLength: 1, maxLength: 200, unit: 'binary' }),
    fc.constantFrom('{}', '\r\n\r\n', call('{"in": 1}'), 'y'.repeat(70_000), 'z'.repeat(400_000)),
  );
  const note = fc.constantFrom('whole', 'large', 'stream', 'stream counted', '', '  spaced\t');
  const more = fc.constantFrom(
    '',
    'Connection: Keep-Alive\r\n',
    'user-agent: shotgun-json (3.9)\r\naccept-encoding: gzip, deflate\r\n',
    'X-Note: twice\r\n',
    'x-latin: \xe9\r\n',
    'constructor: a\r\n__proto__: b\r\n',
  );
  const good = fc.tuple(body, note, more).map((parts) => call(...parts));
  const other = fc.constantFrom(
    'GET /page/1 HTTP/1.1\r\nhost: a\r\n\r\n',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    'POST /api3/json HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\n{}',
    'POST /api3/json?x=1 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\ncontent-length: 02\r\n\r\n{}',
  );
  const broken = [
    'POST /api3/json HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\ncontent-length : 2\r\n\r\n{}',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\nfolded: a\r\n b\r\ncontent-length: 2\r\n\r\n{}',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\nbad: \u0001\r\ncontent-length: 2\r\n\r\n{}',
    'POST /api3/json HTTP/1.1\r\nhost: a\r\ncontent-length: -2\r\n\r\n{}',
    'POST /api3/json HTTP/1.1\r\n\r\n',
    'nonsense\r\n\r\n',
  ];
  const last = fc.oneof(
    { arbitrary: fc.constant('GET /end HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'), weight: 3 },
    { arbitrary: fc.constant(call('{}', 'whole', 'connection: close\r\n')), weight: 1 },
  );

  test('whoever takes them, the answers are the same', async () => {
    const talk = fc.record({
      requests: fc.array(fc.oneof({ arbitrary: good, weight: 5 }, { arbitrary: other, weight: 1 }), {
        maxLength: 5,
      }),
      last,
      cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
      cutsRequests: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(talk, async ({ requests, last: end, cuts, cutsRequests }) => {
        const all = [...requests, end].map((text) => Buffer.from(text, 'latin1'));
        const whole = Buffer.concat(all);
        // The last one stays whole: a server that closes over what it has not read takes its last words with it.
        const cuttable = whole.length - end.length;
        const places = cuts.map((cut) => Math.floor(cut * cuttable)).toSorted((a, b) => a - b);
        const pieces = cutsRequests
          ? [0, ...places].map((from, at) => whole.subarray(from, places[at] ?? whole.length))
          : all;
        const [ofPlain, ofNode] = await Promise.all([exchange(plain, pieces), exchange(node, pieces)]);
        assert.deepEqual(responsesIn(ofPlain), responsesIn(ofNode));
      }),
      { numRuns: 200 },
    );
  });

  test('what is no request is refused as Node’s server refuses it, also behind one that is', async () => {
    const asked = call('{}', 'whole', 'expect: 100-continue\r\nconnection: close\r\n');
    for (const text of [...broken, call('{}', 'close'), asked]) {
      for (const before of [[], [call('{}')]]) {
        const seen = await Promise.all(
          [plain, node].map(async (rig) => {
            const { socket, seen: seenBy } = open(rig);
            const closed = new Promise((resolve) => socket.once('close', resolve));
            for (const one of before) {
              socket.write(one);
              await until('it is answered', async () => seenBy().includes('length'));
            }
            socket.write(text, 'latin1');
            await closed;
            return responsesIn(seenBy());
          }),
        );
        assert.deepEqual(seen[0], seen[1], text);
      }
    }
  });

  test('a tool’s connection never reaches Node’s server, however its requests are cut in two', async () => {
    const { socket, seen } = open(plain);
    const before = plain.seenByNode;
    for (let number = 1; number <= 5; number += 1) {
      const text = call(`{"number": ${number}}`);
      const cut = [text.length, 10, text.length - 3, text.indexOf('\r\n\r\n') + 2, text.indexOf('{')][
        number - 1
      ];
      socket.write(text.slice(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(text.slice(cut));
      await until('it is answered', async () => seen().includes(`\\"number\\": ${number}`));
    }
    socket.destroy();
    assert.equal(plain.seenByNode, before);
  });
});

describe('a plain connection', () => {
  const waiting: { client: ApiClient; body: Buffer }[] = [];
  let rig: Rig;
  before(async () => {
    rig = await listen(true, (client, body) => waiting.push({ client, body }));
  });
  after(() => {
    rig.server.close();
    rig.server.closeAllConnections();
  });

  /** @returns the next call that came. */
  async function next(): Promise<ApiClient> {
    await until('a call comes', async () => waiting.length > 0);
    return (waiting.shift() as (typeof waiting)[number]).client;
  }
  const headers = ['content-length', '2'];
  const ok = { statusCode: 200, headers, body: 'ok', sent: null };

  test('tells whoever answers that the client has gone away', async () => {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const { socket } = open(rig);
      socket.write(call('{}'));
      const client = await next();
      const { signal } = client;
      assert.equal(signal.aborted, false);
      socket[leave]();
      await until('it is told', async () => signal.aborted);
      // An answer for nobody harms nobody.
      client.send(ok, false);
    }
  });

  test('answers that follow one another have their own headers, whatever they share', async () => {
    const { socket, seen } = open(rig);
    const lists = [
      ['x-request-id', '1', 'x-note', 'a', 'content-length', '2'],
      ['x-request-id', '2', 'x-note', 'a', 'content-length', '2'],
      ['x-request-id', '3', 'x-note', 'b', 'content-length', '2'],
      ['x-other-id', '3', 'x-note', 'b', 'content-length', '2'],
      ['x-other-id', ['4', '5'], 'x-note', ['b', 'c'], 'content-length', '2'],
      ['date', 'then', 'x-note', ['b', 'c'], 'content-length', '2'],
      ['content-length', '2'],
    ];
    for (const [at, list] of lists.entries()) {
      socket.write(call('{}'));
      (await next()).send({ ...ok, statusCode: at === 1 ? 201 : 200, headers: list }, false);
    }
    await until(
      'all are answered',
      async () => seen().toString('latin1').split('\r\n\r\nok').length > lists.length,
    );
    const lines = (list: (typeof lists)[number]): string[] =>
      list.flatMap((name, at) =>
        at % 2 === 1 ? [] : [list[at + 1]].flat().map((value) => `${String(name)}: ${value}`),
      );
    assert.deepEqual(
      responsesIn(seen()).map(({ status, headers: sent }) => [status, sent]),
      lists.map((list, at) => [
        at === 1 ? 'HTTP/1.1 201 Created' : 'HTTP/1.1 200 OK',
        lines(list)
          .filter((line) => !PASSING.test(line))
          .toSorted(),
      ]),
    );
    const dates = seen()
      .toString('latin1')
      .match(/^date: .*$/gm);
    assert.equal(dates?.length, lists.length);
    assert.equal(dates.filter((line) => line === 'date: then').length, 1);
    socket.destroy();
  });

  test('answers one request after the other where a client does not wait', async () => {
    const { socket, seen } = open(rig);
    socket.write(call('{"first": 1}'));
    const first = await next();
    socket.write(call('{"second": 1}'));
    socket.write(`${call('{"third": 1}')}GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(waiting.length, 0);
    first.send({ ...ok, body: '1.' }, false);
    (await next()).send({ ...ok, body: '2.' }, false);
    (await next()).send({ ...ok, body: '3.' }, false);
    await once(socket, 'close');
    assert.deepEqual(
      responsesIn(seen()).map(({ body }) => body),
      ['1.', '2.', '3.', 'GET /'],
    );
  });

  test('takes the next request once the answer before it is taken, however long that lasts', async () => {
    const { socket, seen } = open(rig);
    socket.write(call('{}'));
    const client = await next();
    socket.pause();
    const body = Buffer.alloc(20_000_000, 'x');
    client.send({ ...ok, headers: ['content-length', `${body.length}`], body }, false);
    socket.write(call('{"second": 1}'));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(waiting.length, 0);
    socket.resume();
    (await next()).send(ok, true);
    await once(socket, 'close');
    assert.deepEqual(
      responsesIn(seen()).map(({ body: { length } }) => length),
      [body.length, 2],
    );
  });

  test('breaks off where a body does', async () => {
    for (const counted of [[], ['content-length', '10']]) {
      const { socket, seen } = open(rig);
      socket.write(call('{}'));
      const client = await next();
      const body = new Readable({ read() {} });
      body.push('half');
      let hasEnded = false;
      client.stream({ statusCode: 200, headers: counted, body }, false, () => {
        hasEnded = true;
      });
      await until('half of it came', async () => seen().includes('half'));
      body.destroy(new Error('the site broke off'));
      await once(socket, 'close');
      assert.equal(hasEnded, true);
      assert.doesNotMatch(seen().toString('latin1'), /\r\n0\r\n\r\n$/);
    }
  });

  test('an answer has one date, its own where it has one', async () => {
    const date = 'Thu, 01 Jan 2026 00:00:00 GMT';
    for (const given of [[], ['date', date]]) {
      const { socket, seen } = open(rig);
      socket.write(call('{}'));
      (await next()).send({ ...ok, headers: [...ok.headers, ...given] }, true);
      await once(socket, 'close');
      const dates =
        seen()
          .toString('latin1')
          .match(/^date: .*$/gim) ?? [];
      assert.equal(dates.length, 1);
      if (given.length > 0) assert.equal(dates[0], `date: ${date}`);
    }
  });

  test('sends no header that would end where its value does not', async () => {
    const { socket } = open(rig);
    socket.write(call('{}'));
    const client = await next();
    assert.throws(
      () => client.send({ ...ok, headers: ['x', 'a\r\nset-cookie: b'] }, false),
      /cannot be sent/,
    );
    client.send(ok, true);
    await once(socket, 'close');
  });

  test('ends at once when nothing is under way, and else with its answer', async () => {
    const idle = open(rig);
    idle.socket.write(call('{}'));
    (await next()).send(ok, false);
    await until('it is answered', async () => idle.seen().length > 0);
    const busy = open(rig);
    busy.socket.write(call('{}'));
    const client = await next();
    rig.plain?.close();
    await once(idle.socket, 'close');
    assert.equal(busy.socket.destroyed, false);
    client.send(ok, true);
    await once(busy.socket, 'close');
    assert.match(busy.seen().toString('latin1'), /connection: close\r\n[\s\S]*ok$/);
  });
});

test('a connection over which nothing comes is closed; one with half a request is Node’s to watch', async () => {
  const { promise, resolve } = Promise.withResolvers<ApiClient>();
  let body = '';
  const server = createServer((request, response) => {
    request.on('data', (piece: Buffer) => {
      body += piece.toString();
    });
    request.on('end', () => response.end());
  });
  takePlainRequests(server, { take: resolve, keepAliveMs: 50, bodyBytesMax: 1_000 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const rig = { port: (server.address() as AddressInfo).port } as Rig;
  const half = call('{"half": 1}', 'whole', 'connection: keep-alive\r\n');
  const begun = open(rig);
  begun.socket.write(half.slice(0, -3));
  const silent = open(rig);
  const waits = open(rig);
  waits.socket.write(call('{}'));
  const client = await promise;
  await once(silent.socket, 'close');
  await until('Node has what came of it', async () => body !== '');
  begun.socket.end(half.slice(-3));
  await once(begun.socket, 'close');
  assert.equal(body, '{"half": 1}');
  // However long its answer takes.
  assert.equal(waits.socket.destroyed, false);
  client.send({ statusCode: 200, headers: ['content-length', '2'], body: 'ok', sent: null }, true);
  await once(waits.socket, 'close');
  assert.match(waits.seen().toString('latin1'), /ok$/);
  server.close();
});

test('whoever takes nothing of an answer for that long is given up, whole or streamed', async () => {
  const clients: ApiClient[] = [];
  const server = createServer();
  takePlainRequests(server, { take: (client) => clients.push(client), keepAliveMs: 50, bodyBytesMax: 1_000 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const rig = { port: (server.address() as AddressInfo).port } as Rig;
  const body = Buffer.alloc(20_000_000, 'x');
  const pieces = Array.from({ length: 200 }, () => body.subarray(0, 100_000));
  const source = Readable.from(pieces);
  const answers: readonly ((client: ApiClient) => void)[] = [
    (client) =>
      client.send(
        { statusCode: 200, headers: ['content-length', `${body.length}`], body, sent: null },
        false,
      ),
    (client) => client.stream({ statusCode: 200, headers: [], body: source }, false, () => {}),
  ];
  for (const [index, answerWith] of answers.entries()) {
    const { socket } = open(rig);
    const closed = once(socket, 'close');
    socket.write(call('{}'));
    await until('it is asked', async () => clients.length > index);
    socket.pause();
    answerWith(clients[index] as ApiClient);
    // What waits behind an answer that is not taken gives it no more time.
    socket.write(call('{"second": 1}'));
    await until('the connection is given up', async () => (await connections(server)) === 0);
    socket.resume();
    await closed;
  }
  assert.equal(clients.length, answers.length);
  // So the site is not asked on, and a place among the requests to it is free again.
  assert.equal(source.destroyed, true);
  server.close();
});

function connections(server: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  );
}
