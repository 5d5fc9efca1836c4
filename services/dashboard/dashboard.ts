import { openQueueBackend } from '@understudy/pipeline/queue-backend';
import { closePromptly } from '@understudy/runtime/close-promptly';
import type { Config } from '@understudy/runtime/config/sections';
import { receiveMessages } from '@understudy/runtime/control/receive';
import { beat } from '@understudy/runtime/heartbeat';
import type { Logger } from '@understudy/runtime/logging';
import { headlineOf } from '@understudy/runtime/status/headline';
import { createStatusWatch } from '@understudy/runtime/status/system-status';
import { openDatabase } from '@understudy/store/database';
import { fastify } from 'fastify';
import { askForPassword } from './login.ts';
import { readPage } from './page.ts';
import { queueBoard } from './queue-board.ts';
import { guard } from './security.ts';
import { createStatusMetrics } from './status-metrics.ts';

const SERVICE = 'dashboard';
const UNAUTHORIZED = 401;

export interface Dashboard {
  /** Address that it listens on. */
  readonly url: string;
  /** Works until the signal is aborted, then closes everything. */
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Builds the dashboard and lets it listen: `/` the status page, `/status.json` what it shows, `/queues` bull-board,
 * `/healthz`, `/readyz`, `/metrics`. It serves from the start and while PostgreSQL or the queue is away, and says so.
 */
export async function startDashboard(
  config: Pick<Config, 'database' | 'queue' | 'reader' | 'dashboard' | 'control'>,
  log: Logger,
  drain: () => void,
): Promise<Dashboard> {
  const db = await openDatabase({
    url: config.database.url,
    poolSize: config.database.poolSize,
    applicationName: SERVICE,
  });
  const queues = openQueueBackend(config.queue.url);
  const watch = createStatusWatch(db.pool, queues, config.queue.url);
  const metrics = createStatusMetrics();
  const page = await readPage();

  const app = fastify();
  closePromptly(app);
  guard(app);
  await askForPassword(app, config.dashboard.password);
  app.addHook('onError', async (request, _reply, error) => {
    // A browser asks without a password first.
    if (error.statusCode === UNAUTHORIZED) return;
    log.warn({ err: error, http: request.method, path: request.url.split('?', 1)[0] }, 'a request failed');
  });
  app.get('/', async (_request, reply) =>
    reply
      .headers({ 'content-security-policy': page.policy, 'cache-control': 'no-cache' })
      .type('text/html; charset=utf-8')
      .send(page.html),
  );
  app.get('/status.json', async (_request, reply) => {
    const status = await watch.read();
    const headline = headlineOf(status, config.reader.maxLagMs);
    return reply.header('cache-control', 'no-store').send({ headline, ...status });
  });
  app.get('/healthz', async () => ({ status: 'ok' }));
  // Its work is to say what is away, so that it is ready when others are not.
  app.get('/readyz', async () => ({ status: 'ready' }));
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.format(await watch.read())),
  );
  queueBoard(app, queues, watch.whyQueueAway);
  const url = await app.listen({ host: config.dashboard.host, port: config.dashboard.port });

  return {
    url,
    run: async (signal) => {
      try {
        await Promise.all([
          beat(db.pool, SERVICE, { signal, log, state: () => 'serving' }),
          receiveMessages({
            service: SERVICE,
            q: db.pool,
            databaseUrl: config.database.url,
            secret: config.control.secret,
            target: { log, drain },
            generation: () => null,
            log,
            signal,
          }),
        ]);
      } finally {
        await app.close();
        await queues.close();
        await db.close();
      }
    },
  };
}
