import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/**
 * Has a server that is being closed wait for the answers under way and for nothing else. Browsers and load balancers open
 * connections in advance, over which nothing was ever sent; Node counts them as busy, so that closing would wait for as
 * long as they are held. A connection that was answered while the server closed would be kept for the next request. To be
 * called before the server listens.
 */
export function closePromptly(app: FastifyInstance): void {
  const sockets = new Set<Socket>();
  let isClosing = false;
  app.server.on('connection', (socket: Socket) => {
    if (isClosing) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  app.addHook('preClose', async () => {
    isClosing = true;
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  });
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing) reply.header('connection', 'close');
  });
}
