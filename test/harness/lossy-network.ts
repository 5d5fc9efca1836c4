import { connect, createServer, type Socket } from 'node:net';

/** A network between us and a server that can lose everything without a word. */
export interface LossyNetwork {
  /** The server's address, through it. */
  readonly url: string;
  /** From now on nothing passes through the connections that are open. */
  loseEverything(): void;
  /** The same as soon as a text is sent to the server, which never sees it. */
  loseEverythingAt(text: string): Promise<void>;
  close(): void;
}

export async function startLossyNetwork(serverUrl: string): Promise<LossyNetwork> {
  const server = new URL(serverUrl);
  const sockets: Socket[] = [];
  let fatal: { readonly text: string; lost(): void } | null = null;
  const loseEverything = (): void => {
    for (const socket of sockets) {
      socket.unpipe();
      socket.pause();
    }
  };
  const network = createServer((near) => {
    const far = connect(Number(server.port), server.hostname);
    sockets.push(near, far);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
    near.on('data', (bytes: Buffer) => {
      if (fatal !== null && bytes.includes(fatal.text)) {
        loseEverything();
        fatal.lost();
        fatal = null;
      } else far.write(bytes);
    });
    near.on('end', () => far.end());
    far.pipe(near);
  });
  await new Promise<void>((resolve) => network.listen(0, '127.0.0.1', resolve));
  const through = new URL(serverUrl);
  through.port = String((network.address() as { port: number }).port);
  return {
    url: through.toString(),
    loseEverything,
    loseEverythingAt: (text) =>
      new Promise<void>((resolve) => {
        fatal = { text, lost: resolve };
      }),
    close: () => {
      for (const socket of sockets) socket.destroy();
      network.close();
    },
  };
}
