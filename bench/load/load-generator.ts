import { Client, type Dispatcher } from 'undici';

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

const HEADERS = { 'content-type': 'application/json; charset=utf-8' };

interface Seen {
  readonly latencies: number[];
  failures: number;
  firstFailure: string | null;
}

/** One request after the other until `until`; those that began after `from` are counted. */
function askUntil(client: Client, job: LoadJob, from: number, until: number, seen: Seen): Promise<void> {
  return new Promise((resolve) => {
    const next = (): void => {
      const began = performance.now();
      if (began >= until) {
        resolve();
        return;
      }
      const request = job.requests[Math.floor(Math.random() * job.requests.length)];
      if (request === undefined) throw new Error('no requests');
      let isGood = false;
      let what = '';
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart: () => {},
        onResponseStart: (_controller, status, headers) => {
          const source = headers['x-understudy'];
          isGood = status === 200 && (source === undefined || String(source).startsWith('replica'));
          what = `${status} ${source}`;
        },
        onResponseData: () => {},
        onResponseEnd: () => {
          if (began >= from) seen.latencies.push(performance.now() - began);
          if (!isGood) fail(seen, what);
          next();
        },
        onResponseError: (_controller, error) => {
          fail(seen, error.message);
          resolve();
        },
      };
      client.dispatch(
        { method: request.method, path: request.path, headers: HEADERS, body: request.body },
        handler,
      );
    };
    next();
  });
}

function fail(seen: Seen, what: string): void {
  seen.failures += 1;
  seen.firstFailure ??= what;
}

async function load(job: LoadJob): Promise<LoadResult> {
  const clients = Array.from({ length: job.clients }, () => new Client(job.url, { pipelining: 1 }));
  const from = performance.now() + job.warmUpMs;
  const until = from + job.measureMs;
  const seen: Seen = { latencies: [], failures: 0, firstFailure: null };
  await Promise.all(clients.map((client) => askUntil(client, job, from, until, seen)));
  await Promise.all(clients.map((client) => client.close()));
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
