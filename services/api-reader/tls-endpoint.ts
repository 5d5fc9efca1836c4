import { readFile, stat } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Logger } from '@understudy/runtime/logging';

/** Speaks TLS on a connection in the site's place and serves what comes over it. */
export type TlsEndpoint = (client: Duplex) => Promise<void>;

/** A client that does not finish its handshake within this time is given up. */
const HANDSHAKE_MS = 10_000;

/**
 * @param server gets the connections once they are decrypted.
 * @param files of a certificate for the site's name that the studio's machines trust, and of its key; they are read
 *   again when they change, so that a renewed certificate needs no restart.
 * @throws when they cannot be read or do not fit each other.
 */
export async function createTlsEndpoint(
  server: Server,
  files: { readonly certificate: string; readonly key: string },
  log: Logger,
): Promise<TlsEndpoint> {
  const load = async (): Promise<{ readonly context: SecureContext; readonly changedAt: number }> => {
    const [{ mtimeMs }, cert, key] = await Promise.all([
      stat(files.certificate),
      readFile(files.certificate),
      readFile(files.key),
    ]);
    return { context: createSecureContext({ cert, key }), changedAt: mtimeMs };
  };
  let loaded = await load();

  const context = async (): Promise<SecureContext> => {
    try {
      if ((await stat(files.certificate)).mtimeMs !== loaded.changedAt) loaded = await load();
    } catch (error) {
      log.warn({ err: error }, 'the certificate could not be read again; the one from before goes on');
    }
    return loaded.context;
  };

  return async (client) => {
    const secure = new TLSSocket(client as never, {
      isServer: true,
      secureContext: await context(),
      ALPNProtocols: ['http/1.1'],
    });
    const giveUp = (): void => {
      secure.destroy();
      client.destroy();
    };
    const timer = setTimeout(giveUp, HANDSHAKE_MS);
    client.once('end', giveUp);
    secure.once('secure', () => {
      clearTimeout(timer);
      client.off('end', giveUp);
    });
    secure.once('close', () => clearTimeout(timer));
    secure.on('error', (error) => log.debug({ err: error }, 'a client broke off its TLS'));
    server.emit('connection', secure);
  };
}
