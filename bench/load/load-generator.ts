import { connect, type Socket } from 'node:net';

/** What the load generator is told to do. Every client has one connection and one request under way, as tools have. */
export interface LoadJob {
  readonly url: string;
  /** Requests to draw from at random. */
  readonly requests: readonly {
    readonly method: 'GET' | 'POST';
    readonly path: string;
    readonly body: string | null;
  }[];
  readonly clients: number;
  /** Requests in this time are not counted: connections are made, statements prepared, code compiled. */
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly count: number;
  /** Answers other than 200, and answers that the site gave. Anything but 0 makes the figures worthless. */
  readonly failures: number;
  readonly firstFailure: string | null;
}

interface Seen {
  readonly latencies: number[];
  failures: number;
  firstFailure: string | null;
}

function fail(seen: Seen, what: string): void {
  seen.failures += 1;
  seen.firstFailure ??= what;
}

/** Requests as they go over the wire, made once: making them again and again would be measured as well. */
function onTheWire(job: LoadJob): readonly Buffer[] {
  const { host } = new URL(job.url);
  return job.requests.map(({ method, path, body }) => {
    const length = body === null ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`;
    const type = 'content-type: application/json; charset=utf-8\r\n';
    return Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${type}${length}\r\n${body ?? ''}`);
  });
}

const HEAD_END = '\r\n\r\n';

/** Says what is wrong with the head of an answer, if anything is. */
function faultOf(head: string): string | null {
  const status = head.slice(9, 12);
  const source = /^x-understudy: (.*)$/im.exec(head)?.[1];
  return status === '200' && (source === undefined || source.startsWith('replica'))
    ? null
    : `${status} ${source}`;
}

/** One client: one connection, one request after the other until `until`; those that began after `from` are counted. */
class LoadClient {
  readonly #socket: Socket;
  readonly #requests: readonly Buffer[];
  readonly #from: number;
  readonly #until: number;
  readonly #seen: Seen;
  readonly ended: Promise<void>;
  #end: () => void = () => {};
  #began = 0;
  #head = '';
  /** Bytes of the body that are still to come; -1 while the head is. */
  #left = -1;

  constructor(job: LoadJob, requests: readonly Buffer[], from: number, until: number, seen: Seen) {
    const { hostname, port } = new URL(job.url);
    this.#requests = requests;
    this.#from = from;
    this.#until = until;
    this.#seen = seen;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#socket = connect({ host: hostname, port: Number(port) }, () => this.#ask());
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', (error) => fail(seen, error.message));
    this.#socket.on('close', () => {
      if (performance.now() < until) fail(seen, 'the connection was closed');
      this.#end();
    });
  }

  #ask(): void {
    this.#began = performance.now();
    if (this.#began >= this.#until) {
      this.#socket.destroy();
      return;
    }
    const request = this.#requests[Math.floor(Math.random() * this.#requests.length)];
    if (request === undefined) throw new Error('no requests');
    this.#socket.write(request);
  }

  #take(chunk: Buffer): void {
    if (this.#left === -1) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf(HEAD_END);
      if (end === -1) return;
      const body = this.#head.length - end - HEAD_END.length;
      const head = this.#head.slice(0, end);
      this.#head = '';
      const length = /^content-length: (\d+)$/im.exec(head)?.[1];
      const fault = length === undefined ? 'no length' : faultOf(head);
      if (fault !== null) fail(this.#seen, fault);
      if (length === undefined) {
        this.#socket.destroy();
        return;
      }
      this.#left = Number(length) - body;
    } else {
      this.#left -= chunk.length;
    }
    if (this.#left > 0) return;
    this.#left = -1;
    if (this.#began >= this.#from) this.#seen.latencies.push(performance.now() - this.#began);
    this.#ask();
  }
}

/**
 * Speaks HTTP as plainly as it can, as the answers allow: with a full client, half the time of two cores would go into
 * asking, and more of it for a request with a body than for one without.
 */
async function load(job: LoadJob): Promise<LoadResult> {
  const requests = onTheWire(job);
  const from = performance.now() + job.warmUpMs;
  const until = from + job.measureMs;
  const seen: Seen = { latencies: [], failures: 0, firstFailure: null };
  const clients = Array.from({ length: job.clients }, () => new LoadClient(job, requests, from, until, seen));
  await Promise.all(clients.map((client) => client.ended));
  const sorted = Float64Array.from(seen.latencies).sort();
  const percentile = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
  return {
    perSecond: sorted.length / (job.measureMs / 1_000),
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    count: sorted.length,
    failures: seen.failures,
    firstFailure: seen.firstFailure,
  };
}

process.on('message', (job: LoadJob) => {
  load(job).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
