import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { JSON_HEADERS } from './api-call.ts';
import { bodyTooSlow, faultBody } from './errors.ts';

/** Slower than any line that people work over. */
const BYTES_A_SECOND_MIN = 1_000;
const LOOKS = 4;
const LOOK_MS_MAX = 5_000;
/** How long who was refused may go on sending before the connection is closed. */
const LINGER_MS = 1_000;

/** A body that is still coming: what its connection had brought when the present stretch of time began. */
interface Stretch {
  readonly raw: IncomingMessage;
  since: number;
  bytes: number;
  /** It was too slow at one look: only at the next is it given up, for it may have been this process that stood still. */
  isSuspect: boolean;
}

/** Is told when the body of a request begins to come, and when it has come or nobody waits for it any more. */
export interface BodyWatch {
  begins(raw: IncomingMessage): void;
  ends(raw: IncomingMessage): void;
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Whether what came is not taken yet: then it is not the sender who is slow. */
const isHeldBack = (raw: IncomingMessage): boolean => raw.readableLength >= raw.readableHighWaterMark;

/**
 * Gives up requests whose bodies hardly move, so that nobody can hold connections and memory with a few bytes now and
 * then. How long a body takes as a whole does not matter: an upload of any size goes on as long as it moves.
 * @param stretchMs for how long it must bring less than 1 kB a second.
 * @returns the watch over them, to be told of requests that do not come by the app's routes.
 */
export function refuseSlowBodies(app: FastifyInstance, stretchMs: number): BodyWatch {
  const coming = new Map<IncomingMessage, Stretch>();
  const bytesMin = (BYTES_A_SECOND_MIN * stretchMs) / 1_000;
  const bodies: BodyWatch = {
    begins: (raw) => {
      if (hasBody(raw))
        coming.set(raw, { raw, since: performance.now(), bytes: raw.socket.bytesRead, isSuspect: false });
    },
    ends: (raw) => coming.delete(raw),
  };

  app.addHook('onRequest', (request, _reply, done) => {
    bodies.begins(request.raw);
    done();
  });
  app.addHook('onResponse', (request, _reply, done) => {
    bodies.ends(request.raw);
    done();
  });

  const begin = (stretch: Stretch, now: number): void => {
    stretch.since = now;
    stretch.bytes = stretch.raw.socket.bytesRead;
    stretch.isSuspect = false;
  };
  const look = (): void => {
    const now = performance.now();
    for (const stretch of coming.values()) {
      const { raw } = stretch;
      if (raw.complete) coming.delete(raw);
      else if (isHeldBack(raw)) begin(stretch, now);
      else if (now - stretch.since < stretchMs) continue;
      else if (raw.socket.bytesRead - stretch.bytes >= bytesMin) begin(stretch, now);
      else if (!stretch.isSuspect) stretch.isSuspect = true;
      else {
        coming.delete(raw);
        refuse(raw);
      }
    }
  };
  const looking = setInterval(look, Math.min(LOOK_MS_MAX, stretchMs / LOOKS)).unref();
  app.addHook('onClose', async () => clearInterval(looking));
  return bodies;
}

/**
 * Says why, past whoever waits for the rest of the body, who is told that it ended with the connection. What comes meanwhile is thrown away: a
 * connection that is closed with bytes unread is reset, and its sender may never see the answer.
 */
function refuse({ socket }: IncomingMessage): void {
  const { message, statusCode, faultCode } = bodyTooSlow();
  const body = JSON.stringify(faultBody(message, faultCode));
  const headers = { ...JSON_HEADERS, 'content-length': `${Buffer.byteLength(body)}`, connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  // Node's parser must not see the rest: a request that is refused is never carried out.
  socket.removeAllListeners('data');
  socket.on('data', () => {});
  socket.resume();
  socket.end(`HTTP/1.1 ${statusCode} Request Timeout\r\n${lines.join('')}\r\n${body}`);
  const lingering = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(lingering));
}
