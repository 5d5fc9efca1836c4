import type { IncomingMessage, Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '@understudy/runtime/logging';
import type { Sites } from './sites.ts';
import type { TlsEndpoint } from './tls-endpoint.ts';

/** A tunnel in which nothing moves for so long is closed. */
const IDLE_MS = 10 * 60_000;
const CONNECT_MS = 5_000;
const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';
/** Tunnels at once; each is two sockets. */
const TUNNELS_MAX = 1_000;

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
}

/** What tunnels are opened with. */
export interface TunnelParts {
  readonly server: Server;
  readonly sites: Sites;
  /** Null where the studio gave no certificate: then the replicated site is tunnelled to as others are. */
  readonly tls: TlsEndpoint | null;
  readonly log: Logger;
}

/**
 * CONNECT, for clients that use the reader as their proxy for https: tunnelled to allowed sites, blindly, so that the
 * client and the site talk as if it were not there; refused for everything else. With a certificate that the client trusts,
 * the replicated site's part is taken instead, and requests are answered as any others.
 * @returns a function that closes every tunnel.
 */
export function tunnels({ server, sites, tls, log }: TunnelParts): () => void {
  const open = new Set<Duplex>();
  server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    const target = (request.url ?? '').toLowerCase();
    client.on('error', () => client.destroy());
    if (!sites.mayTunnelTo(target)) {
      log.warn({ reason: 'not-allowed' }, 'a tunnel was refused');
      return refuse(client, '403 Forbidden');
    }
    if (tls !== null && sites.isReplicatedAuthority(target)) {
      client.write(ESTABLISHED);
      if (head.length > 0) client.unshift(head);
      tls(client).catch((error: unknown) => {
        log.warn({ err: error }, 'a tunnel could not be answered');
        client.destroy();
      });
      return;
    }
    if (open.size >= TUNNELS_MAX) return refuse(client, '503 Service Unavailable');
    const end = target.lastIndexOf(':');
    const host = target.slice(0, end).replace(/^\[|\]$/g, '');
    const upstream: Socket = connect({ host, port: Number(target.slice(end + 1)) });
    open.add(client);
    let isConnected = false;
    const close = (): void => {
      open.delete(client);
      if (!isConnected && client.writable) refuse(client, '503 Service Unavailable');
      else client.destroy();
      upstream.destroy();
    };
    const upstreamClosed = (): void => {
      // What it sent last may not have been taken yet.
      if (!client.writableEnded || client.writableFinished) {
        close();
        return;
      }
      const waiting = setTimeout(close, IDLE_MS).unref();
      client.once('close', () => clearTimeout(waiting));
      client.once('finish', close);
    };
    upstream.setTimeout(CONNECT_MS, close);
    upstream.once('connect', () => {
      isConnected = true;
      upstream.setTimeout(IDLE_MS, close);
      client.write(ESTABLISHED);
      if (head.length > 0) upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    upstream.on('error', close);
    upstream.on('close', upstreamClosed);
    client.on('close', close);
    log.info({ target }, 'a tunnel was opened');
  });
  return () => {
    for (const client of open) client.destroy();
  };
}
