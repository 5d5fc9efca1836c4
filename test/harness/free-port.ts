import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * Ports below those that a system gives to connections, and to servers that ask for any: a service that is killed and
 * started again finds its own still free. They are shared out in blocks. A process that hands out ports of a block
 * listens on its first one, so that no other process takes the block.
 */
const FIRST = 10_240;
const BLOCK = 64;
const BLOCKS = 350;
const HOST = '127.0.0.1';

/** @returns the server, or null when somebody else listens on the port. */
async function listenOn(port: number): Promise<Server | null> {
  const server = createServer();
  const listening = once(server, 'listening');
  server.listen(port, HOST);
  try {
    await listening;
    return server;
  } catch (error) {
    if ((error as { code?: string }).code !== 'EADDRINUSE') throw error;
    return null;
  }
}

/** Takes a block for as long as this process lives. @returns its first port. */
async function takeBlock(): Promise<number> {
  const begin = Math.floor(Math.random() * BLOCKS);
  for (let tried = 0; tried < BLOCKS; tried += 1) {
    const first = FIRST + ((begin + tried) % BLOCKS) * BLOCK;
    const guard = await listenOn(first);
    if (guard === null) continue;
    guard.unref();
    return first;
  }
  throw new Error('every block of ports is taken');
}

async function* portsOfBlocks(): AsyncGenerator<number, never> {
  for (;;) {
    const first = await takeBlock();
    for (let port = first + 1; port < first + BLOCK; port += 1) {
      const server = await listenOn(port);
      if (server === null) continue;
      server.close();
      await once(server, 'close');
      yield port;
    }
  }
}

const ports = portsOfBlocks();

/** @returns a TCP port of the loopback interface that is free, and given to nobody else while this process lives. */
export async function freePort(): Promise<number> {
  return (await ports.next()).value;
}
