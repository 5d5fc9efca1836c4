import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ProductProcess } from '@understudy/harness/child-process';
import { freePort } from '@understudy/harness/free-port';
import { until } from '@understudy/harness/until';

/** The nginx configuration with a reader and a site of the test's own behind it: who is asked, and how often? */
const NO_NGINX = spawnSync('nginx', ['-v']).error === undefined ? false : 'no nginx was found';

let folder: string;
let nginx: ProductProcess;
let port: number;
let readerPort: number;
let reader: Server | null = null;
let site: Server;
let askedSite: string[] = [];
let askedReader: string[] = [];

/** A server that answers `name`, or closes the connection after it was asked. */
async function serve(at: number, asked: (what: string) => void, name: string | null): Promise<Server> {
  const server = createServer((incoming, reply) => {
    asked(`${incoming.method} ${incoming.url}`);
    incoming.resume().on('end', () => (name === null ? incoming.socket.destroy() : reply.end(name)));
  });
  server.keepAliveTimeout = 1;
  server.listen(at, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** @returns the status and the body. */
async function ask(method: string, path: string): Promise<string> {
  const sent = request({ host: '127.0.0.1', port, method, path, agent: false });
  sent.end(method === 'POST' || method === 'PUT' ? '{}' : undefined);
  const [reply] = await once(sent, 'response');
  let body = '';
  for await (const chunk of reply) body += String(chunk);
  return `${reply.statusCode} ${reply.statusCode === 200 ? body : ''}`.trim();
}

async function setReader(name: string | null | undefined): Promise<void> {
  reader?.closeAllConnections();
  if (reader !== null) await new Promise((resolve) => reader?.close(resolve));
  reader = name === undefined ? null : await serve(readerPort, (what) => askedReader.push(what), name);
  askedSite = [];
  askedReader = [];
}

before(async () => {
  if (NO_NGINX !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'understudy-nginx-'));
  [port, readerPort] = [await freePort(), await freePort()];
  const fallbackPort = await freePort();
  site = await serve(0, (what) => askedSite.push(what), 'site');
  const sitePort = (site.address() as AddressInfo).port;
  const shipped = await readFile(new URL('nginx/understudy.conf', import.meta.url), 'utf8');
  const edited = shipped
    .replaceAll('127.0.0.1:8010 max_fails=2', `127.0.0.1:${readerPort} max_fails=1000`)
    .replaceAll('8019', String(fallbackPort))
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('https://$real_site$request_uri', `http://127.0.0.1:${sitePort}$request_uri`);
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; pid ${folder}/pid; error_log stderr; ${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
access_log off;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
${edited}
}
`,
  );
  nginx = new ProductProcess('nginx', ['nginx', '-c', join(folder, 'nginx.conf'), '-p', folder], process.env);
  nginx.start();
  await setReader('reader');
  await until('nginx answers', async () => (await ask('GET', '/')) === '200 reader').catch(
    (error: unknown) => {
      throw new Error(nginx.output, { cause: error });
    },
  );
});
after(async () => {
  if (NO_NGINX !== false) return;
  await setReader(undefined);
  await nginx.end();
  site.closeAllConnections();
  site.close();
  await rm(folder, { recursive: true, force: true });
});

const ALL = ['GET', 'POST', 'PUT', 'DELETE'];

test('a reader that is there is asked, once', { skip: NO_NGINX }, async () => {
  await setReader('reader');
  for (const method of ALL) assert.equal(await ask(method, '/api3/json?a=1'), '200 reader', method);
  assert.deepEqual(
    askedReader,
    ALL.map((method) => `${method} /api3/json?a=1`),
  );
  assert.deepEqual(askedSite, []);
});

test('without a reader that accepts, the site is asked, once', { skip: NO_NGINX }, async () => {
  await setReader(undefined);
  for (const method of ['GET', 'POST']) assert.equal(await ask(method, '/api3/json'), '200 site', method);
  assert.deepEqual(askedSite, ['GET /api3/json', 'POST /api3/json']);
});

test('what a reader broke off is not sent to the site, if it may have been done', {
  skip: NO_NGINX,
}, async () => {
  await setReader(null);
  for (const method of ['POST', 'PUT', 'DELETE']) assert.match(await ask(method, '/api/v1'), /^502/, method);
  assert.equal(askedReader.length, 3);
  assert.deepEqual(askedSite, []);
});
