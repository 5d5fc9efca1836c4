import { openQueueBackend, type QueueBackend } from '@understudy/pipeline/queue-backend';
import { prepareReplica, type Replica } from '@understudy/pipeline/replica';
import { localBudget } from '@understudy/site-client/budget';
import { createSiteClient } from '@understudy/site-client/site-client';
import { openDatabase } from '@understudy/store/database';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { configOrExit } from './config/main.ts';
import type { Config } from './config/sections.ts';
import { serveHealth } from './health.ts';
import { beat, VERSION } from './heartbeat.ts';
import { runService } from './lifecycle.ts';
import { createLogger } from './logging.ts';
import { untilDone } from './loop.ts';

/** What a service that works on the replica is given. */
export interface ReplicaService {
  readonly replica: Replica;
  readonly queues: QueueBackend;
  readonly config: Config;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * The main of a service that works on the replica: configuration, database, site, queues, tables, heartbeat and health;
 * then `work`, until the signal is aborted; then everything is closed.
 */
export async function runReplicaService(
  name: string,
  work: (service: ReplicaService) => Promise<void>,
): Promise<void> {
  const config = configOrExit(name, ['site', 'database']);
  const log = createLogger(config.log, name);
  await runService({
    name,
    log,
    start: async (signal) => {
      const databaseOptions = {
        url: config.database.url,
        poolSize: config.database.poolSize,
        applicationName: name,
      };
      const db = await openDatabase(databaseOptions);
      const site = createSiteClient({
        url: config.site.url,
        credentials: { scriptName: config.site.scriptName, scriptKey: config.site.scriptKey },
        budget: localBudget({ concurrency: config.site.concurrency }),
        timeoutMs: config.site.timeoutMs,
        userAgent: `understudy-${name}/${VERSION}`,
      });
      const queues = openQueueBackend(config.queue.url);
      let ready = false;
      const health = await serveHealth(config.health, new Registry(), () => (ready ? null : 'starting'));
      const replica = await untilDone('preparing the replica', { signal, log }, () =>
        prepareReplica({
          db,
          databaseOptions,
          site,
          siteUrl: config.site.url,
          schemaFile: config.schema.file,
        }),
      );
      if (replica.differences.length > 0) {
        const examples = replica.differences.slice(0, 5).map((difference) => difference.message);
        log.warn({ count: replica.differences.length, examples }, 'the site lacks part of the cached schema');
      }
      return {
        run: async () => {
          ready = true;
          const beats = beat(db.pool, name, { signal, log, state: () => 'running' });
          try {
            await work({ replica, queues, config, log, signal });
            await beats;
          } finally {
            await queues.close();
            await site.close();
            await health.close();
            await db.close();
          }
        },
      };
    },
  });
}
