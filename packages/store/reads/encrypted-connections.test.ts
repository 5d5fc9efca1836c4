import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { ROOT } from '@understudy/harness/child-process';
import { createTestDatabase } from '@understudy/harness/postgres';
import { openReadConnections } from './read-connections.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
/** In front of PostgreSQL: speaks TLS, as PostgreSQL does once it is asked to. */
let front: Server;
let sockets = 0;

before(async () => {
  database = await createTestDatabase();
  const { hostname, port } = new URL(database.url);
  const [cert, key] = await Promise.all(
    ['tls-certificate.pem', 'tls-key.pem'].map((name) => readFile(`${ROOT}test/fixtures/${name}`)),
  );
  const encrypt = async (plain: Socket): Promise<void> => {
    // What asks for encryption has eight bytes and nothing behind them.
    await once(plain, 'readable');
    assert.equal((plain.read() as Buffer).length, 8);
    plain.write('S');
    const secure = new TLSSocket(plain, { isServer: true, cert, key });
    sockets += 1;
    const behind = connect({ host: hostname, port: Number(port) });
    secure.pipe(behind).pipe(secure);
    for (const [one, other] of [
      [secure, behind],
      [behind, secure],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
  };
  front = createServer((plain) => void encrypt(plain));
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
});
after(async () => {
  front.close();
  await database.drop();
});

test('gives the same over an encrypted connection, also what comes in many pieces', async () => {
  const url = new URL(database.url);
  url.port = `${(front.address() as AddressInfo).port}`;
  url.searchParams.set('sslmode', 'no-verify');
  const connections = openReadConnections({
    url: url.toString(),
    size: 1,
    applicationName: 'encrypted-connections-test',
    timeoutMs: 10_000,
  });
  const large = {
    name: 'large',
    text: `select repeat(i::text, 5000) from generate_series($1::int, $2::int) i`,
  };
  const asked = await Promise.all([1, 5, 20].map((from) => connections.texts(large, [from, from + 70])));
  for (const [place, from] of [1, 5, 20].entries())
    assert.deepEqual(
      asked[place],
      Array.from({ length: 71 }, (_, more) => `${from + more}`.repeat(5_000)),
    );
  assert.equal(sockets, 1);
  await connections.close();
});
