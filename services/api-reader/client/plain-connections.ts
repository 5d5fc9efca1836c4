import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { ApiClient } from './api-client.ts';
import { createPlainAnswers, type PlainAnswers, PlainClient } from './plain-client.ts';
import { createPlainRequests, type Found } from './plain-request.ts';

export interface PlainOptions {
  /**
   * Takes a request of the JSON API; it is answered through its client.
   * @param same stands for all requests that are equal byte for byte; null: it is not known whether there are others.
   */
  readonly take: (client: ApiClient, body: Buffer, same: object | null) => void;
  /** How long a connection is kept while nothing comes, and nothing of an answer is taken. */
  readonly keepAliveMs: number;
  /** Longer requests are the server's. */
  readonly bodyBytesMax: number;
}

export interface PlainConnections {
  /** Ends connections over which nothing is under way; the others end with their answer. */
  close(): void;
}

/** More pieces, or more time between two of them, than tools need for a request: who goes on so is another's to watch. */
const PIECES_MAX = 4;
const PIECE_MS = 1_000;

/**
 * Takes requests of the JSON API in their plain form off the connections of Node's HTTP server, and answers them itself: taking
 * requests apart in general, as streams, is more than a third of what a read of one row costs in this process. At the first bytes that are
 * anything else, a connection is the server's own, from that request on.
 * @param server one that was just made.
 */
export function takePlainRequests(
  server: Server,
  { take, keepAliveMs, bodyBytesMax }: PlainOptions,
): PlainConnections {
  const serve = server.listeners('connection')[0] as ((socket: Socket) => void) | undefined;
  if (serve === undefined) throw new Error('the server serves no connections');
  server.off('connection', serve);
  const open = new Set<PlainConnection>();
  const parts: ConnectionParts = {
    find: createPlainRequests(bodyBytesMax),
    answers: createPlainAnswers(Math.floor(keepAliveMs / 1_000)),
    take,
    keepAliveMs,
    left: (connection) => open.delete(connection),
    serve: (socket) => serve.call(server, socket),
  };
  server.on('connection', (socket: Socket) => open.add(new PlainConnection(socket, parts)));
  return {
    close: () => {
      for (const connection of open) connection.endIfIdle();
    },
  };
}

interface ConnectionParts {
  readonly find: (bytes: Buffer) => Found;
  readonly answers: PlainAnswers;
  readonly take: PlainOptions['take'];
  readonly keepAliveMs: number;
  /** To be told of a connection that was closed or given to the server. */
  readonly left: (connection: PlainConnection) => void;
  readonly serve: (socket: Socket) => void;
}

/** A connection whose requests have all been plain so far. One is answered at a time. */
class PlainConnection {
  readonly #socket: Socket;
  readonly #parts: ConnectionParts;
  /** Who waits for an answer. */
  #client: PlainClient | null = null;
  /** What came and was not taken yet. */
  #came: Buffer | null = null;
  #pieces = 0;

  constructor(socket: Socket, parts: ConnectionParts) {
    this.#socket = socket;
    this.#parts = parts;
    socket.setTimeout(parts.keepAliveMs);
    socket.on('data', this.#data);
    socket.on('end', this.#end);
    socket.on('timeout', this.#timeout);
    socket.on('error', this.#error);
    socket.on('close', this.#close);
  }

  endIfIdle(): void {
    if (this.#client === null) this.#socket.end();
  }

  readonly #data = (piece: Buffer): void => {
    const bytes = this.#came === null ? piece : Buffer.concat([this.#came, piece]);
    if (this.#client !== null) {
      // The next request can wait until this one is answered, and so must all that is behind it.
      this.#came = bytes;
      this.#socket.pause();
      return;
    }
    this.#look(bytes);
  };

  #look(bytes: Buffer): void {
    const { find, take, answers, keepAliveMs } = this.#parts;
    const socket = this.#socket;
    if (socket.writableNeedDrain) {
      // The answer before is still being taken, or as good as.
      this.#came = bytes;
      socket.pause();
      socket.off('drain', this.#goOn);
      socket.once('drain', this.#goOn);
      return;
    }
    const found = find(bytes);
    if (found === 'other') this.#leave(bytes);
    else if (found === 'unfinished' || found.end > bytes.length) {
      this.#pieces += 1;
      if (this.#pieces >= PIECES_MAX) this.#leave(bytes);
      else {
        this.#came = bytes;
        socket.setTimeout(PIECE_MS);
      }
    } else if (found.end < bytes.length) this.#leave(bytes);
    else {
      if (this.#pieces > 0) {
        this.#came = null;
        this.#pieces = 0;
        socket.setTimeout(keepAliveMs);
      }
      this.#client = new PlainClient(found.headers, socket, answers, this.#answered);
      take(this.#client, bytes.subarray(found.bodyAt), found.isUsual ? found : null);
    }
  }

  readonly #answered = (closes: boolean): void => {
    this.#client = null;
    if (closes) {
      this.#socket.end();
      return;
    }
    if (this.#came !== null) this.#goOn();
  };

  /** With what came and had to wait. */
  readonly #goOn = (): void => {
    const came = this.#came;
    if (came === null) return;
    this.#came = null;
    this.#socket.resume();
    this.#look(came);
  };

  /** From here on the connection is the server's, which has seen nothing of it yet. */
  #leave(bytes: Buffer): void {
    const socket = this.#socket;
    this.#parts.left(this);
    socket.setTimeout(0);
    socket.off('data', this.#data);
    socket.off('drain', this.#goOn);
    socket.off('end', this.#end);
    socket.off('timeout', this.#timeout);
    socket.off('error', this.#error);
    socket.off('close', this.#close);
    this.#parts.serve(socket);
    socket.unshift(bytes);
    socket.resume();
  }

  // Whoever shuts one half of the connection is gone; Node's server takes it so as well.
  readonly #end = (): void => {
    this.#client?.goneAway();
    this.#socket.end();
  };

  readonly #timeout = (): void => {
    // Whoever takes nothing of an answer for so long holds its memory, and a place among the requests to the site.
    if (this.#socket.writableLength > 0 && this.#pieces === 0) {
      this.#socket.destroy();
      return;
    }
    // An answer may take longer to come: the site's do.
    if (this.#client !== null) return;
    if (this.#came === null) this.#socket.destroy();
    else this.#leave(this.#came);
  };

  // A client that breaks off gets no answer, and its connection is closed.
  readonly #error = (): void => {};

  readonly #close = (): void => {
    this.#parts.left(this);
    this.#client?.goneAway();
    this.#client = null;
  };
}
