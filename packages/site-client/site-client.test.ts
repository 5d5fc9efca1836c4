import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { localBudget, PRIORITIES, type Priority } from './budget.ts';
import {
  AuthenticationFault,
  SiteAnswerLost,
  SiteFault,
  SiteProtocolError,
  SiteUnavailable,
} from './faults.ts';
import { createSiteClient, type SiteClient } from './site-client.ts';

/** A site that answers as told, and a client of it. */
async function withSite(
  listener: RequestListener,
  work: (client: SiteClient) => Promise<void>,
): Promise<number> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = createSiteClient({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { scriptName: 'understudy', scriptKey: 'key' },
    budget: localBudget({ concurrency: 4 }),
    timeoutMs: 300,
    retries: 2,
  });
  try {
    await work(client);
  } finally {
    await client.close();
    server.closeAllConnections();
    server.close();
  }
  return requests;
}

const shot = { type: 'Shot', fields: ['code'] } as const;
const scan = { priority: 'scan' } as const;

test('a read is tried again while the site is away', async () => {
  let left = 2;
  await withSite(
    (_request, response) => {
      left -= 1;
      if (left >= 0) response.writeHead(502).end();
      else
        response.end(
          '{"results": {"entities": [{"type": "Shot", "id": 1}], "paging_info": {"has_next_page": true}}}',
        );
    },
    async (client) => {
      const page = await client.read(shot, scan);
      assert.deepEqual(page.results, [{ type: 'Shot', id: 1 }]);
      assert.equal(page.hasNextPage, true);
    },
  );
});

for (const [what, listener] of [
  ['closes the connection', (request) => request.socket.destroy()],
  ['answers 500', (_request, response) => response.writeHead(500).end()],
  ['never answers', () => {}],
  ['answers a page of HTML', (_request, response) => response.end('<html>')],
] satisfies readonly (readonly [string, RequestListener])[]) {
  test(`a write is sent once when the site ${what}`, async () => {
    const requests = await withSite(listener, async (client) => {
      await assert.rejects(client.call('create', {}, { priority: 'client' }), SiteAnswerLost);
    });
    assert.equal(requests, 1);
  });
}

test('a site that cannot be reached lost nothing', async () => {
  const client = createSiteClient({
    url: 'http://127.0.0.1:1',
    credentials: { sessionToken: 'token' },
    budget: localBudget({ concurrency: 1 }),
    timeoutMs: 1_000,
  });
  await assert.rejects(client.call('create', {}, { priority: 'client' }), SiteUnavailable);
  await client.close();
});

test('a fault is typed and is not tried again', async () => {
  const requests = await withSite(
    (_request, response) => response.end('{"exception": true, "message": "no", "error_code": 102}'),
    async (client) => {
      await assert.rejects(client.read(shot, scan), (error: unknown) => {
        assert.ok(error instanceof AuthenticationFault && error instanceof SiteFault);
        assert.equal(error.code, 102);
        return true;
      });
    },
  );
  assert.equal(requests, 1);
});

test('a redirect is not followed', async () => {
  const requests = await withSite(
    (_request, response) => response.writeHead(302, { location: '/elsewhere' }).end(),
    async (client) => {
      await assert.rejects(client.read(shot, scan), SiteProtocolError);
    },
  );
  assert.equal(requests, 1);
});

test('places go to the most urgent, never more than allowed at once', async () => {
  const budget = localBudget({ concurrency: 1 });
  const first = await budget.acquire('scan');
  const order: Priority[] = [];
  const all = [...PRIORITIES].reverse().map(async (priority) => {
    const place = await budget.acquire(priority);
    order.push(priority);
    place.release();
    place.release();
  });
  const given = new AbortController();
  const aborted = budget.acquire('client', given.signal);
  given.abort(new Error('gave up'));
  await assert.rejects(aborted, /gave up/);
  assert.deepEqual(order, []);
  first.release();
  await Promise.all(all);
  assert.deepEqual(order, [...PRIORITIES]);
});
