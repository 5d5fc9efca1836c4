import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Json } from '@understudy/domain/entity';
import fc from 'fast-check';
import { localBudget, type Priority } from './budget.ts';
import {
  AuthenticationFault,
  SiteAnswerLost,
  SiteFault,
  SiteProtocolError,
  SiteUnavailable,
} from './faults.ts';
import { leaf } from './filters.ts';
import { createSiteClient, type SiteClient, type SiteClientOptions } from './site-client.ts';

interface Call {
  readonly method_name: string;
  readonly params: readonly Json[];
}
type Answer = (call: Call, response: ServerResponse) => void;

/** A site that answers as told, and a client of it. @returns the calls it got. */
async function withSite(
  answer: Answer,
  work: (client: SiteClient, calls: readonly Call[]) => Promise<void>,
  options: Partial<SiteClientOptions> = {},
): Promise<readonly Call[]> {
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const call = JSON.parse(body) as Call;
    calls.push(call);
    answer(call, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = createSiteClient({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { scriptName: 'understudy', scriptKey: 's3cret' },
    budget: localBudget({ concurrency: 4 }),
    timeoutMs: 1_000,
    retries: 2,
    ...options,
  });
  try {
    await work(client, calls);
  } finally {
    server.closeAllConnections();
    server.close();
    await client.close();
  }
  return calls;
}

const reply =
  (value: Json): Answer =>
  (_call, response) =>
    void response.end(JSON.stringify(value));
const shot = { type: 'Shot', fields: ['code'] } as const;
const scan = { priority: 'scan' } as const;
const client = { priority: 'client' } as const;

test('a read is tried again while the site is away, and the log says so without a secret', async () => {
  let left = 2;
  const logged: unknown[] = [];
  const calls = await withSite(
    (_call, response) => {
      left -= 1;
      if (left >= 0) response.writeHead(502).end();
      else
        response.end(
          '{"results": {"entities": [{"type": "Shot", "id": 1}], "paging_info": {"has_next_page": true}}}',
        );
    },
    async (site) => {
      const page = await site.read(shot, { ...scan, requestId: 'r-1' });
      assert.deepEqual(page.results, [{ type: 'Shot', id: 1 }]);
      assert.equal(page.hasNextPage, true);
    },
    { log: { warn: (...line) => logged.push(line) } },
  );
  assert.equal(calls.length, 3);
  assert.equal(logged.length, 2);
  assert.match(JSON.stringify(logged), /r-1.*HTTP 502/);
  assert.doesNotMatch(JSON.stringify(logged), /s3cret/);
});

test('a read gives up in the end', async () => {
  const calls = await withSite(
    (_call, response) => void response.writeHead(503).end(),
    async (site) => {
      await assert.rejects(site.read(shot, scan), SiteUnavailable);
    },
    { retries: 1 },
  );
  assert.equal(calls.length, 2);
});

test('a caller who gives up ends the tries', async () => {
  const abort = new AbortController();
  const calls = await withSite(
    (_call, response) => {
      response.writeHead(502).end();
      abort.abort(new Error('gave up'));
    },
    async (site) => {
      await assert.rejects(site.read(shot, { ...scan, signal: abort.signal }), /gave up/);
    },
  );
  assert.equal(calls.length, 1);
});

for (const method of ['create', 'update', 'delete', 'revive', 'batch', 'follow', 'a_method_made_tomorrow']) {
  test(`${method} is sent once, whatever happens`, async () => {
    const calls = await withSite(
      (_call, response) => void response.writeHead(502).end(),
      async (site) => {
        await assert.rejects(site.call(method, { type: 'Shot' }, client), SiteAnswerLost);
      },
    );
    assert.equal(calls.length, 1);
  });
}

for (const [fault, error, code, message] of [
  [
    { error_code: 102, message: "Can't authenticate script 'x'" },
    AuthenticationFault,
    102,
    "Can't authenticate script 'x'",
  ],
  [{ error_code: 106, message: '2FA' }, AuthenticationFault, 106, '2FA'],
  [
    { error_code: 103, message: "API read() Shot.foo doesn't exist." },
    SiteFault,
    103,
    "API read() Shot.foo doesn't exist.",
  ],
  [{ message: null }, SiteFault, 0, 'Unknown Error'],
] as const) {
  test(`fault ${code} is typed, and is not tried again`, async () => {
    for (const method of ['read', 'create']) {
      const calls = await withSite(reply({ exception: true, ...fault }), async (site) => {
        await assert.rejects(site.call(method, {}, client), (thrown: unknown) => {
          assert.ok(thrown instanceof SiteFault && thrown instanceof error);
          assert.equal(thrown instanceof AuthenticationFault, error === AuthenticationFault);
          assert.deepEqual([thrown.code, thrown.message], [code, message]);
          return true;
        });
      });
      assert.equal(calls.length, 1);
    }
  });
}

test('an exception within the results is none', async () => {
  await withSite(reply({ results: { exception: true } }), async (site) => {
    assert.deepEqual((await site.call('read', {}, client)).results, { exception: true });
  });
});

test('requests look as the official client makes them', async () => {
  const script = { script_name: 'understudy', script_key: 's3cret' };
  const calls = await withSite(reply({ version: [8, 60, 0] }), async (site) => {
    assert.deepEqual(await site.info(client), { version: [8, 60, 0] });
    for (const nothing of [undefined, null, {}, []]) await site.call('schema_read', nothing, client);
    await site.call('batch', [{ request_type: 'delete' }], client);
    await site.call(
      'preferences_read',
      {},
      { ...client, auth: { session_token: 'theirs', session_uuid: 'u' } },
    );
  });
  assert.deepEqual(calls, [
    { method_name: 'info', params: [] },
    ...Array.from({ length: 4 }, () => ({ method_name: 'schema_read', params: [script] })),
    { method_name: 'batch', params: [script, [{ request_type: 'delete' }]] },
    { method_name: 'preferences_read', params: [{ session_token: 'theirs', session_uuid: 'u' }] },
  ]);
});

for (const [credentials, auth] of [
  [
    { userLogin: 'ada', userPassword: 'pw' },
    { user_login: 'ada', user_password: 'pw' },
  ],
  [{ sessionToken: 't' }, { session_token: 't', reject_if_expired: true }],
] as const) {
  test(`a client may be ${Object.keys(credentials)[0]}`, async () => {
    const calls = await withSite(
      reply({ results: {} }),
      async (site) => {
        await site.call('preferences_read', undefined, client);
      },
      { credentials },
    );
    assert.deepEqual(calls[0]?.params, [auth]);
  });
}

test('a read of one page asks for what it is told', async () => {
  const calls = await withSite(reply({ results: { entities: [] } }), async (site) => {
    const sorts = [{ field_name: 'code', direction: 'desc' }] as const;
    const filters = { logical_operator: 'or', conditions: [leaf('code', 'in', 'a', 'b')] } as const;
    const page = await site.read(
      { ...shot, filters, sorts, returnOnly: 'retired', pageSize: 7, page: 3 },
      client,
    );
    assert.deepEqual([page.results, page.hasNextPage], [[], false]);
  });
  assert.deepEqual(calls[0]?.params[1], {
    type: 'Shot',
    return_fields: ['code'],
    filters: { logical_operator: 'or', conditions: [{ path: 'code', relation: 'in', values: ['a', 'b'] }] },
    return_only: 'retired',
    paging: { entities_per_page: 7, current_page: 3 },
    api_return_image_urls: true,
    return_paging_info_without_counts: true,
    sorts: [{ field_name: 'code', direction: 'desc' }],
  });
});

for (const results of [
  null,
  {},
  { entities: null },
  { entities: [null] },
  { entities: [{ id: 1 }] },
  [] as const,
]) {
  test(`${JSON.stringify(results)} is no answer to a read`, async () => {
    await withSite(reply({ results: results as Json }), async (site) => {
      await assert.rejects(site.read(shot, scan), SiteProtocolError);
    });
  });
}

/** Answers reads by id of the rows with the given ids, `pageMax` at most, saying whether there are more or not at all. */
function siteOfRows(ids: () => readonly number[], pageMax: number, saysMore: boolean): Answer {
  return ({ params }, response) => {
    const { filters, paging } = params[1] as unknown as {
      readonly filters: {
        readonly conditions: readonly { readonly relation: string; readonly values: readonly [number] }[];
      };
      readonly paging: { readonly entities_per_page: number };
    };
    const matching = ids().filter((id) =>
      filters.conditions.every(({ relation, values: [bound] }) =>
        relation === 'greater_than' ? id > bound : id < bound,
      ),
    );
    const page = matching.slice(0, Math.min(pageMax, paging.entities_per_page));
    const paging_info = saysMore ? { has_next_page: page.length < matching.length } : {};
    response.end(
      JSON.stringify({ results: { entities: page.map((id) => ({ type: 'Shot', id })), paging_info } }),
    );
  };
}

test('paging by id gives every row once, however long the pages are', async () => {
  const ids = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 30 });
  const small = fc.integer({ min: 1, max: 12 });
  const range = fc.option(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 })), {
    nil: undefined,
  });
  await fc.assert(
    fc.asyncProperty(
      ids,
      small,
      small,
      fc.boolean(),
      range,
      async (unsorted, pageMax, pageSize, saysMore, bounds) => {
        const sorted = [...unsorted].sort((a, b) => a - b);
        await withSite(
          siteOfRows(() => sorted, pageMax, saysMore),
          async (site) => {
            const [fromId, toId] = bounds ?? [];
            const limits = {
              ...(fromId === undefined ? {} : { fromId }),
              ...(toId === undefined ? {} : { toId }),
            };
            const seen: number[] = [];
            for await (const page of site.readAllById({ ...shot, ...limits, pageSize }, scan)) {
              assert.ok(page.results.length <= pageSize);
              seen.push(...page.results.map((row) => row.id));
            }
            const expected = sorted.filter((id) => id >= (fromId ?? 0) && id <= (toId ?? 100));
            assert.deepEqual(seen, expected);
          },
        );
      },
    ),
    { numRuns: 40 },
  );
});

test('rows that go while pages are read shift no other row out of sight', async () => {
  let ids = [1, 2, 3, 4, 5, 6];
  await withSite(
    siteOfRows(() => ids, 2, true),
    async (site) => {
      const seen: number[] = [];
      for await (const page of site.readAllById({ ...shot, pageSize: 2 }, scan)) {
        seen.push(...page.results.map((row) => row.id));
        ids = ids.filter((id) => id !== 1);
      }
      assert.deepEqual(seen, [1, 2, 3, 4, 5, 6]);
    },
  );
});

for (const ids of [
  [2, 1],
  [1, 1],
]) {
  test(`rows in the order ${ids} are refused: a page by id could step over some`, async () => {
    const entities = ids.map((id) => ({ type: 'Shot', id }));
    await withSite(reply({ results: { entities, paging_info: { has_next_page: true } } }), async (site) => {
      await assert.rejects(site.readAllById(shot, scan).next(), SiteProtocolError);
    });
  });
}

test('the schema is read and parsed', async () => {
  await withSite(
    reply({ results: { Shot: { code: { data_type: { value: 'text', editable: false } } } } }),
    async (site) => {
      assert.equal((await site.schemaRead(scan)).get('Shot')?.get('code')?.dataType, 'text');
    },
  );
});

test('each request takes a place by its priority and gives it back, also when it fails', async () => {
  const asked: Priority[] = [];
  const budget = localBudget({ concurrency: 1 });
  let held = 0;
  let fails = true;
  const calls = await withSite(
    (_call, response) => {
      assert.equal(held, 1);
      fails = !fails;
      if (fails) response.end('{"results": 1}');
      else response.writeHead(502).end();
    },
    async (site) => {
      const reads = [
        site.call('summarize', {}, { priority: 'poll' }),
        site.call('summarize', {}, { priority: 'audit' }),
      ];
      await Promise.all(reads);
      await assert.rejects(site.call('create', {}, client), SiteAnswerLost);
    },
    {
      retries: 5,
      budget: {
        acquire: async (priority, signal) => {
          asked.push(priority);
          const place = await budget.acquire(priority, signal);
          held += 1;
          return {
            release: () => {
              held -= 1;
              place.release();
            },
          };
        },
      },
    },
  );
  assert.equal(held, 0);
  assert.equal(asked.length, calls.length);
  assert.deepEqual(new Set(asked), new Set(['poll', 'audit', 'client']));
});
