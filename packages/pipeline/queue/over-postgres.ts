import { setTimeout as delay } from 'node:timers/promises';
import { GuardedClient } from '@understudy/store/guarded-client';
import { type SilenceOptions, watchSilence } from '@understudy/store/silent-connections';
import { createPostgresBackend, withBackend } from 'bullmq';
import type { QueuedJob, QueueOpener } from '../queue-backend.ts';
import { type BullQueue, workerOptions } from './bull.ts';
import { asJobQueue } from './job-queue.ts';
import { asJobWorker } from './job-worker.ts';

const CONNECTIONS = 4;
const CONNECT_TIMEOUT_MS = 5_000;
/** A worker that was refused a job, for instance by a PostgreSQL that is starting, asks again after this. */
const RETRY_MS = 250;
/** How long a worker relies on being told of jobs before it looks for itself. */
const LOOK_SECONDS = 5;
/** The first use of all makes the tables. */
const ANSWER_MS = 20_000;

type Factory = typeof createPostgresBackend;

/** What BullMQ's types leave out. */
interface Inside {
  readonly connection?: {
    pgModule?: object;
    /** Of the first use, which looks whether the tables are there. */
    readyPromise?: Promise<unknown> | undefined;
    waitUntilReady(): Promise<void>;
    getListenClient(): Promise<GuardedClient>;
  };
}

/** Makes connections that fail, within a minute, once the network has lost them without a word. */
function watchedClient(url: string, silence: SilenceOptions | undefined): typeof GuardedClient {
  const watch = watchSilence(url, silence);
  return class extends GuardedClient {
    constructor(...config: ConstructorParameters<typeof GuardedClient>) {
      super(...config);
      this.once('connect', () => watch.add(this));
      this.once('end', () => watch.remove(this));
    }
  };
}

/** Asks something over the connection that listens, over which else nothing is ever asked: only so is its loss noticed. */
async function tryListening(connection: NonNullable<Inside['connection']>): Promise<void> {
  try {
    const client = await connection.getListenClient();
    client.query('select').catch(() => {
      // The connection tells of its end itself, and is made again.
    });
  } catch {
    // Nor can one be made: the next wait says so.
  }
}

/**
 * BullMQ's backend, with five things mended: the connection that listens for jobs cannot end the process while it is
 * being made or closed, a worker does not ask without a pause while PostgreSQL refuses to answer, a first use that
 * failed is tried again by the next one, no worker waits for long without looking, and the loss of a connection that listens is noticed. BullMQ remembers a first failure for ever: one
 * connection that took too long while a worker began would leave it without work until its process ends. And a worker whose
 * connections broke waits for an hour to be told of the next job, though it has failed to look whether some are there already.
 * @throws Error when BullMQ has changed, so that this must be done in another way.
 */
const guardedBackend =
  (client: typeof GuardedClient): Factory =>
  (name, options, factoryOptions) => {
    const backend = createPostgresBackend(name, options, factoryOptions);
    const { connection } = backend as unknown as Inside;
    if (connection?.pgModule === undefined) throw new Error('BullMQ makes its connections in another way');
    connection.pgModule = { ...connection.pgModule, Client: client };
    const waitUntilReady = connection.waitUntilReady.bind(connection);
    connection.waitUntilReady = async () => {
      const ready = waitUntilReady();
      const used = connection.readyPromise;
      if (used === undefined) throw new Error('BullMQ remembers its first use in another way');
      try {
        await ready;
      } catch (error) {
        if (connection.readyPromise === used) connection.readyPromise = undefined;
        throw error;
      }
    };
    const wait = backend.waitForJob.bind(backend);
    backend.waitForJob = async (seconds) => {
      const told = await wait(Math.min(seconds, LOOK_SECONDS));
      if (told === null) await tryListening(connection);
      return told;
    };
    const take = backend.moveToActive.bind(backend);
    backend.moveToActive = async (token, worker) => {
      try {
        return await take(token, worker);
      } catch (error) {
        await delay(RETRY_MS);
        throw error;
      }
    };
    return backend;
  };

/**
 * Queues over PostgreSQL, in its schema `queue`. While it is away calls fail.
 * @param silence when a connection counts as lost, where not as everywhere.
 */
export function overPostgres(url: string, silence?: SilenceOptions): QueueOpener {
  const client = watchedClient(url, silence);
  const { Queue, Worker } = withBackend(guardedBackend(client));
  const connection = {
    connectionString: url,
    schema: 'queue',
    migrate: true,
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    Client: client,
  };
  return {
    queue: (name) => {
      const open = (): BullQueue => {
        const queue = new Queue(name, { connection });
        queue.on('error', () => {
          // PostgreSQL is away: calls say so, and connections are made again.
        });
        return queue as never;
      };
      return asJobQueue(name, open, ANSWER_MS);
    },
    worker: (name, processor, { concurrency, onError, onFailed, onDone }) => {
      const worker = new Worker(name, (job) => processor(job as unknown as QueuedJob), {
        connection,
        ...workerOptions(concurrency),
      });
      worker.on('error', onError);
      worker.on('failed', (_job, error) => onFailed(error));
      worker.on('completed', (job) => onDone?.(job));
      return asJobWorker(worker);
    },
  };
}
