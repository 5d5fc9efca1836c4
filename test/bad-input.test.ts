import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { EntityRow } from '@understudy/domain/entity';
import { until } from '@understudy/harness/until';
import { type Api, call, entitiesOf, type Reply, readOf, SCRIPT, send, startApi } from './api-rig.ts';

/** Whatever is sent: the site's fault or a clear refusal, nothing is changed, and the next request is answered. */
let api: Api;
let shotsBefore: readonly EntityRow[];
before(async () => {
  api = await startApi();
  shotsBefore = await shotsOnSite();
});
after(() => api?.stop());

async function shotsOnSite(): Promise<readonly EntityRow[]> {
  return entitiesOf(
    await call(api.siteUrl, 'read', readOf('Shot', ['code', 'description', 'sg_status_list'])),
  );
}

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };
const post = (body: string | Buffer, headers: Record<string, string> = JSON_TYPE): Promise<Reply> =>
  send(`${api.readerUrl}/api3/json`, { method: 'POST', headers, body });

/** A refusal of the reader's own: a 4xx that no client repeats, JSON that every client understands. */
function isRefused(reply: Reply, status: number): void {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.json.exception, true);
  assert.match(String(reply.json.message), /^Understudy: /);
}

test('bodies that are no request of the JSON API are refused', async () => {
  const read = JSON.stringify({ method_name: 'read', params: [SCRIPT, readOf('Shot', ['code'])] });
  for (const body of [
    '',
    'null',
    '7',
    '"read"',
    '[]',
    '{}',
    'not json',
    read.slice(0, -1),
    `${read}}`,
    `${read}${read}`,
    read.replaceAll('"', "'"),
    JSON.stringify({ method_name: 7, params: [] }),
    JSON.stringify({ method_name: '', params: [] }),
    JSON.stringify({ method_name: 'x'.repeat(1_000), params: [] }),
    JSON.stringify({ method_name: 'read', params: {} }),
    JSON.stringify({ method_name: 'read', params: ['pipeline', {}] }),
    Buffer.from([0xff, 0xfe, 0x7b, 0x7d]),
    Buffer.concat([Buffer.from(read.slice(0, -10)), Buffer.from([0xc3, 0x28]), Buffer.from(read.slice(-10))]),
    Buffer.from(read, 'utf16le'),
    '[['.repeat(400),
  ])
    isRefused(await post(body), 400);
});

test('a body that is packed is refused as no client packs one, and nothing is unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  isRefused(await post(bomb, { ...JSON_TYPE, 'content-encoding': 'gzip' }), 400);
});

test('a body above the limit is refused without being read', async () => {
  isRefused(await post('x'.repeat(10_000_001)), 413);
  isRefused(
    await post('{}', { ...JSON_TYPE, 'transfer-encoding': 'chunked', 'content-type': 'text/plain' }),
    400,
  );
});

test('a large read is answered as the site answers it', async () => {
  const many = readOf('Shot', ['code'], [['id', 'in', ...Array.from({ length: 5_000 }, (_, id) => id + 1)]]);
  const conditions = Array.from({ length: 900 }, (_, at) => ({
    path: 'code',
    relation: 'contains',
    values: [`${at}`],
  }));
  const long = { ...readOf('Shot', ['code']), filters: { logical_operator: 'or', conditions } };
  for (const read of [many, long, { ...long, return_paging_info: true }]) {
    // On a busy machine a reader may have lost sight of the replica for a moment.
    const ours = await until('it is answered here', async () => {
      const answer = await call(api.readerUrl, 'read', read);
      return answer.headers['x-understudy'] === 'replica' ? answer : null;
    });
    const theirs = await call(api.siteUrl, 'read', read);
    assert.ok(entitiesOf(ours).length > 0);
    assert.deepEqual(entitiesOf(ours), entitiesOf(theirs));
  }
});

test('what nests too deep is refused by the site or by the reader, and ends nothing', async () => {
  const nested = (depth: number): object => {
    let filters: object = { path: 'code', relation: 'is', values: ['x'] };
    for (let level = 0; level < depth; level += 1)
      filters = { logical_operator: 'and', conditions: [filters] };
    return { ...readOf('Shot', ['code']), filters };
  };
  const [ours, theirs] = await Promise.all([
    call(api.readerUrl, 'read', nested(300)),
    call(api.siteUrl, 'read', nested(300)),
  ]);
  assert.match(String(ours.headers['x-understudy']), /^site/);
  assert.deepEqual(ours.json, theirs.json);
  const lists = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  for (const method of ['read', 'summarize', 'create', 'batch', 'follow', 'schema_field_read'])
    for (const body of [
      `{"method_name":"${method}","params":[${JSON.stringify(SCRIPT)},${lists(1_000_000)}]}`,
      `{"method_name":"${method}","params":[${JSON.stringify(SCRIPT)},{"type":"Shot","fields":[{"field_name":"code","value":${lists(2_000)}}],"filters":${lists(2_000)}}]}`,
      `{"method_name":"${method}","params":[{"script_name":${lists(2_000)}}]}`,
    ]) {
      const reply = await post(body);
      // A fault, which clients show; another status would be a failure of the protocol to them.
      isRefused(reply, 200);
      assert.equal(reply.json.error_code, 103);
    }
  const manyHops = readOf(
    'Shot',
    ['code'],
    [[`${'sg_sequence.Sequence.shots.Shot.'.repeat(8)}code`, 'is', 'x']],
  );
  assert.equal(
    (await call(api.readerUrl, 'read', manyHops)).headers['x-understudy'],
    'site; reason=too-many-links',
  );
  const dots = readOf('Shot', [Array.from({ length: 200 }, () => 'sg_sequence.Sequence').join('.')]);
  assert.ok((await call(api.readerUrl, 'read', dots)).status < 500);
});

test('names of prototypes name nothing', async () => {
  const polluted = `{"method_name":"read","__proto__":{"params":[]},"params":[${JSON.stringify(SCRIPT)},
    {"type":"__proto__","return_fields":["__proto__","constructor","toString"],
     "filters":{"logical_operator":"and","conditions":[{"path":"__proto__","relation":"constructor","values":["x"]}]},
     "return_only":"active","paging":{"entities_per_page":5,"current_page":1}}]}`;
  const reply = await post(polluted);
  assert.match(String(reply.headers['x-understudy']), /^site/, 'it is the site’s to refuse');
  assert.ok(reply.status < 500);
  assert.equal(reply.json.results, undefined);
  for (const type of ['constructor', 'toString', 'hasOwnProperty']) {
    const [ours, theirs] = await Promise.all([
      call(api.readerUrl, 'read', readOf(type, ['__proto__'])),
      call(api.siteUrl, 'read', readOf(type, ['__proto__'])),
    ]);
    assert.deepEqual(ours.json, theirs.json);
  }
  for (const method of ['__proto__', 'constructor', 'toString']) {
    const ours = await call(api.readerUrl, method, {});
    assert.deepEqual(ours.json, (await call(api.siteUrl, method, {})).json);
  }
  assert.equal(({} as { params?: unknown }).params, undefined);
});

test('names of prototypes in writes are the site’s to refuse, and reach no object', async () => {
  const proto = '{"__proto__":{"polluted":1},"type":"Shot","id":1,"request_type":"update"}';
  for (const method of [
    'create',
    'update',
    'delete',
    'revive',
    'batch',
    'follow',
    'unfollow',
    'summarize',
    'schema_field_read',
  ])
    for (const payload of [
      '{"__proto__":{"type":"Shot","id":1,"request_type":"delete","fields":[]}}',
      '{"type":"__proto__","id":1,"fields":[{"field_name":"__proto__","value":{"__proto__":{"polluted":1}}}]}',
      '{"type":"constructor","id":1,"fields":[{"field_name":"constructor","value":1}]}',
      '{"type":"hasOwnProperty","id":"__proto__","fields":{"__proto__":{"polluted":1}}}',
      '{"type":"Shot","summaries":[{"field":"__proto__","type":"constructor"}],"grouping":[{"field":"constructor","type":"toString"}],"filters":{"logical_operator":"and","conditions":[]}}',
      '{"type":"__proto__","field_name":"constructor"}',
      '{"user":{"type":"__proto__","id":1},"entity":{"type":"constructor","id":1}}',
      '[{"__proto__":{"request_type":"delete","type":"Shot","id":1}}]',
      '[{"request_type":"constructor","type":"Shot","id":1}]',
      '[{"request_type":"update","type":"Shot","id":1,"fields":[{"field_name":"__proto__","value":"x"}]}]',
      '[{"request_type":"create","type":"__proto__","fields":[{"__proto__":{"field_name":"code","value":"x"}}]}]',
      `[${proto}]`,
    ]) {
      const body = `{"method_name":"${method}","params":[${JSON.stringify(SCRIPT)},${payload}]}`;
      const ours = await post(body);
      const theirs = await send(`${api.siteUrl}/api3/json`, { method: 'POST', headers: JSON_TYPE, body });
      assert.deepEqual([ours.status, ours.json], [theirs.status, theirs.json], `${method} ${payload}`);
    }
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  assert.equal(({} as { type?: unknown }).type, undefined);
});

test('of a key that is given twice, the last counts, as it does for the site', async () => {
  const twice = `{"method_name":"read","params":[{"script_name":"nobody","script_name":"pipeline","script_key":"x","script_key":"pipeline-key"},
    {"type":"Task","type":"Shot","return_fields":["code"],"filters":{"logical_operator":"and","conditions":[]},
     "return_only":"active","paging":{"entities_per_page":5,"current_page":1},"return_paging_info_without_counts":true}]}`;
  const ours = await post(twice);
  const theirs = await send(`${api.siteUrl}/api3/json`, { method: 'POST', headers: JSON_TYPE, body: twice });
  assert.deepEqual(entitiesOf(ours), entitiesOf(theirs));
});

/** Asks both, and finds the same: rows, or a refusal in the same words. */
async function isAnsweredAlike(method: string, payload: unknown): Promise<void> {
  const [ours, theirs] = await Promise.all([
    call(api.readerUrl, method, payload),
    call(api.siteUrl, method, payload),
  ]);
  const what = `${method} ${JSON.stringify(payload)}`;
  assert.equal(ours.status, theirs.status, what);
  const hasRows = method === 'read' && theirs.json.exception !== true;
  if (hasRows) assert.deepEqual(entitiesOf(ours), entitiesOf(theirs), what);
  else assert.deepEqual(ours.json, theirs.json, what);
}

test('SQL in every place that takes text changes nothing and finds nothing', async () => {
  const sql = `x'; drop table site.shot; --`;
  for (const read of [
    readOf(sql, ['code']),
    readOf('Shot', [sql, `sg_sequence.${sql}.code`, `code"; ${sql}`]),
    readOf('Shot', ['code'], [['code', 'is', sql]]),
    readOf('Shot', ['code'], [['code', 'contains', `%' or '1'='1`]]),
    readOf('Shot', ['code'], [[sql, 'is', 1]]),
    readOf('Shot', ['code'], [['code', sql, 'x']]),
    readOf('Shot', ['code'], [['project', 'is', { type: sql, id: 1 }]]),
    readOf('Shot', ['code'], [['sg_sequence.Sequence.code', 'in', sql, '\u0000', '\\']]),
    readOf('Shot', ['code'], [], { sorts: [{ field_name: sql, direction: sql }] }),
    readOf('Shot', ['code'], [], { return_only: sql }),
    readOf('Shot', [`sg_sequence.Sequence.${sql}`, `sg_sequence.Sequence.project.${sql}.name`]),
    readOf('Shot', ['code'], [[`sg_sequence.${sql}.code`, 'is', 'x']]),
    readOf('Shot', ['code'], [['sg_sequence.Sequence.project', 'type_is', sql]]),
    readOf('Shot', ['code'], [['project', 'name_contains', sql]]),
    readOf('Shot', ['code'], [['project', 'is', { type: 'Project', id: sql }]]),
    readOf('Shot', ['code'], [['project', 'is', { type: 'Project', id: 1, name: sql, [sql]: sql }]]),
    readOf('Shot', ['code'], [['sg_status_list', 'in', sql, 'ip']]),
    readOf('Shot', ['code'], [['created_at', 'in_last', 1, sql]]),
    readOf('Shot', ['code'], [['created_at', 'between', sql, sql]]),
    readOf('Shot', ['code'], [['id', 'is', sql]]),
    readOf(
      'Shot',
      ['code'],
      [
        ['code', 'is', '$1'],
        ['code', 'is_not', '$2::text'],
        ['code', 'contains', "\\'"],
      ],
    ),
    readOf('Shot', ['code'], [], {
      sorts: [{ field_name: `sg_sequence.Sequence.${sql}`, direction: 'asc' }],
    }),
    readOf('Shot', ['code'], [], { sorts: [{ field_name: 'code', direction: sql }] }),
    readOf('Shot', ['code'], [], { paging: { entities_per_page: sql, current_page: sql } }),
    readOf('Shot', ['code'], [], { filters: { logical_operator: sql, conditions: [] } }),
    readOf('Shot', ['code'], [], { additional_filter_presets: [{ preset_name: sql, latest_by: sql }] }),
    readOf('EventLogEntry', [sql], [['event_type', 'is', sql]]),
  ])
    await isAnsweredAlike('read', read);
  const everything = { logical_operator: 'and', conditions: [] };
  const counted = { type: 'Shot', filters: everything, summaries: [{ field: 'id', type: 'count' }] };
  for (const summarize of [
    { ...counted, type: sql },
    { ...counted, summaries: [{ field: sql, type: 'count' }] },
    { ...counted, summaries: [{ field: 'id', type: sql }] },
    { ...counted, summaries: [{ field: `sg_sequence.${sql}.id`, type: 'count' }] },
    { ...counted, grouping: [{ field: sql, type: 'exact', direction: 'asc' }] },
    { ...counted, grouping: [{ field: 'code', type: sql, direction: 'asc' }] },
    { ...counted, grouping: [{ field: 'code', type: 'exact', direction: sql }] },
    {
      ...counted,
      filters: { logical_operator: 'and', conditions: [{ path: 'code', relation: 'is', values: [sql] }] },
    },
  ])
    await isAnsweredAlike('summarize', summarize);
  await isAnsweredAlike('schema_field_read', { type: sql });
  await isAnsweredAlike('schema_field_read', { type: 'Shot', field_name: sql });
  await isAnsweredAlike(sql, {});
  for (const write of [
    { type: sql, id: 1, fields: [] },
    { type: 'Shot', id: sql, fields: [{ field_name: 'code', value: 'x' }] },
    { type: 'Shot', id: 1, fields: [{ field_name: sql, value: sql }] },
    { type: 'Shot', id: 1, fields: [{ field_name: 'sg_sequence', value: { type: sql, id: 1 } }] },
    { type: 'Shot', id: 1, fields: [{ field_name: 'sg_sequence', value: { type: 'Sequence', id: sql } }] },
  ]) {
    await isAnsweredAlike('update', write);
    await isAnsweredAlike('batch', [{ request_type: 'update', ...write }]);
    await isAnsweredAlike('batch', [{ ...write, request_type: sql }]);
  }
  const { rows } = await api.replica.db.pool.query("select to_regclass('site.shot') is not null as there");
  assert.deepEqual(rows, [{ there: true }]);
});

test('names of megabytes are logged as far as they tell something', async () => {
  const long = 'x'.repeat(200_000);
  await call(api.readerUrl, 'read', readOf(long, ['code']));
  await call(api.readerUrl, 'read', readOf('Shot', ['code']), {
    script_name: long,
    script_key: long,
    sudo_as_login: long,
  });
  await call(api.readerUrl, 'read', readOf('Shot', ['code']), { user_login: long, user_password: long });
  for (const line of api.logged) assert.ok(line.length < 10_000, line.slice(0, 200));
});

/** Writes bytes as they are and gives what comes back until the connection ends or nothing comes for a while. */
function raw(text: string, untilSeen: RegExp): Promise<string> {
  const { hostname, port } = new URL(api.readerUrl);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let seen = '';
    socket.setTimeout(10_000, () => socket.destroy(new Error(`nothing more after: ${seen.slice(-500)}`)));
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1');
      if (untilSeen.test(seen)) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(seen));
    socket.write(text);
  });
}

test('requests sent one behind another are answered in their order', async () => {
  const body = JSON.stringify({ method_name: 'info', params: [] });
  const request = `POST /api3/json HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const ping = 'GET /ping HTTP/1.1\r\nhost: x\r\n\r\n';
  const seen = await raw(request + ping + request + ping, /(pong[\s\S]*){2}/);
  assert.equal(seen.match(/HTTP\/1\.1 200/g)?.length, 4);
  assert.ok(seen.indexOf('"version"') < seen.indexOf('pong'));
});

test('what is not HTTP, or is it in two ways, is refused', async () => {
  for (const text of [
    'GARBAGE\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'POST /api3/json HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /api3/json HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
    'POST /api3/json HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}',
    `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    `GET / HTTP/1.1\r\nhost: x\r\nlong: ${'x'.repeat(100_000)}\r\n\r\n`,
  ])
    assert.match(await raw(text, /\r\n\r\n/), /^HTTP\/1\.1 4\d\d /, text.slice(0, 80));
});

test('a client that sends its request very slowly keeps nobody else waiting', async () => {
  const { hostname, port } = new URL(api.readerUrl);
  const slow = Array.from({ length: 50 }, () => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', () => {
      // It is this test that gives it up.
    });
    socket.write('POST /api3/json HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{');
    return socket;
  });
  const reply = await call(api.readerUrl, 'read', readOf('Shot', ['code']));
  assert.equal(reply.headers['x-understudy'], 'replica');
  for (const socket of slow) socket.destroy();
});

test('clients that break off before they are answered are no failures of the reader', async () => {
  const { hostname, port } = new URL(api.readerUrl);
  api.sandbox.faults = { ...api.sandbox.faults, latencyMs: 2_000 };
  const body = JSON.stringify({
    method_name: 'followers',
    params: [SCRIPT, { entity: { type: 'Shot', id: 1 } }],
  });
  const head = (target: string): string =>
    `POST ${target} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n`;
  const requests = [
    `${head('/api3/json')}\r\n${body}`,
    `${head('/api3/json')}x-twice: 1\r\nx-twice: 2\r\n\r\n${body}`,
    `${head('/upload/upload_file')}\r\n${body.slice(0, -1)}`,
    'GET /file_serve/attachment/1 HTTP/1.1\r\nhost: x\r\n\r\n',
  ];
  const gone = (): number => api.logged.filter((line) => line.includes('a client went away')).length;
  for (const [index, request] of requests.entries()) {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', () => {
      // It is this test that breaks off.
    });
    socket.end(request);
    await until('the reader is told', async () => gone() > index);
  }
  api.sandbox.faults = { ...api.sandbox.faults, latencyMs: 0 };
});

test('after all this nothing has changed, and the reader answers', async () => {
  assert.deepEqual(await shotsOnSite(), shotsBefore);
  const reply = await call(api.readerUrl, 'read', readOf('Shot', ['code', 'description', 'sg_status_list']));
  assert.equal(reply.headers['x-understudy'], 'replica');
  assert.deepEqual(entitiesOf(reply), shotsBefore);
  const errors = api.logged.filter((line) => (JSON.parse(line) as { level: number }).level >= 50);
  assert.deepEqual(errors, [], 'no request failed inside the reader');
});
