import { connect, createServer, type Socket } from 'node:net';

/** A network between us and a server that can lose everything without a word. */
export interface LossyNetwork {
  /** The server's address, through it. */
  readonly url: string;
  /** From now on nothing passes through the connections that are open. */
  loseEverything(): void;
  close(): void;
}

export async function startLossyNetwork(serverUrl: string): Promise<LossyNetwork> {
  const server = new URL(serverUrl);
  const sockets: Socket[] = [];
  const network = createServer((near) => {
    const far = connect(Number(server.port), server.hostname);
    sockets.push(near, far);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => network.listen(0, '127.0.0.1', resolve));
  const through = new URL(serverUrl);
  through.port = String((network.address() as { port: number }).port);
  return {
    url: through.toString(),
    loseEverything: () => {
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      network.close();
    },
  };
}
