import { openQueueBackend, type QueueBackend } from '@understudy/pipeline/queue-backend';
import { prepareReplica, type ReplicaSource, replicaSource } from '@understudy/pipeline/replica';
import { createSiteClient } from '@understudy/site-client/site-client';
import { type Database, type DatabaseOptions, openDatabase } from '@understudy/store/database';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { configOrExit } from './config/main.ts';
import type { Config } from './config/sections.ts';
import { receiveMessages } from './control/receive.ts';
import { type ControlTarget, done, nothing, type Outcome } from './control/target.ts';
import { WorkSwitch } from './control/work-switch.ts';
import { serveHealth } from './health.ts';
import { beat, VERSION } from './heartbeat.ts';
import { runService } from './lifecycle.ts';
import { createLogger } from './logging.ts';
import { loop, untilDone } from './loop.ts';
import { createJobMetrics } from './metrics/job-metrics.ts';
import { countSiteRequests } from './metrics/site-metrics.ts';
import { type WorkOn, workOnQueues } from './queue-work.ts';
import { siteBudget } from './site-budget.ts';

/** What a service that works on the replica is given. */
export interface ReplicaService {
  /** The database itself; merges go through the replica's, which holds the schema's epoch. */
  readonly db: Database;
  readonly databaseOptions: DatabaseOptions;
  /** What is followed; `current` is renewed by itself soon after it changed. */
  readonly replicas: ReplicaSource;
  readonly queues: QueueBackend;
  readonly workOn: WorkOn;
  /** What `/metrics` shows; whoever has something to count adds it. */
  readonly registry: Registry;
  readonly config: Config;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Whether to begin new work. */
  readonly work: WorkSwitch;
  /** Takes the message `poll`. */
  onPoll(handler: () => Promise<Outcome>): void;
  /** Takes the message `add-field`. */
  onAddField(handler: (path: string) => Promise<Outcome>): void;
}

/** Work that meets a newer schema renews it at once; this is for those who have no work. */
const RENEW_MS = 1_000;

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
    start: async (signal, drain) => {
      const databaseOptions = {
        url: config.database.url,
        poolSize: config.database.poolSize,
        applicationName: name,
        logsUpdates: config.history.enabled,
      };
      const db = await openDatabase(databaseOptions);
      const registry = new Registry();
      collectDefaultMetrics({ register: registry });
      const budget = siteBudget(config, name, log);
      const site = createSiteClient({
        url: config.site.url,
        credentials: { scriptName: config.site.scriptName, scriptKey: config.site.scriptKey },
        budget,
        timeoutMs: config.site.timeoutMs,
        userAgent: `understudy-${name}/${VERSION}`,
        onRequest: countSiteRequests(registry),
      });
      const queues = openQueueBackend(config.queue.url);
      const workOn = workOnQueues(queues, createJobMetrics(registry), log);
      let ready = false;
      const health = await serveHealth(config.health, registry, () => (ready ? null : 'starting'));
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
      const replicas = replicaSource(replica);
      const workSwitch = new WorkSwitch(db.pool, name);
      await untilDone('looking for a pause', { signal, log }, () => workSwitch.look());
      return {
        run: async () => {
          ready = true;
          const renew = async (): Promise<boolean> => {
            const isNewer = await replicas.renew();
            if (isNewer) log.info({ epoch: replicas.current.epoch }, 'another schema is followed');
            return isNewer;
          };
          const generation = (): string => `epoch ${replicas.current.epoch}`;
          let poll: (() => Promise<Outcome>) | undefined;
          let addField: ((path: string) => Promise<Outcome>) | undefined;
          const target: ControlTarget = {
            log,
            drain,
            setPaused: (paused) => workSwitch.set(paused),
            poll: () => poll?.() ?? Promise.resolve(nothing('does not poll')),
            addField: (path) =>
              addField?.(path) ?? Promise.resolve(nothing('follows the generations by itself')),
            reloadSchema: async () =>
              (await renew())
                ? done(`follows ${generation()} from now on`)
                : done(`followed ${generation()} already`),
          };
          const besides = [
            beat(db.pool, name, { signal, log, state: () => (workSwitch.paused ? 'paused' : 'running') }),
            loop('looking for changes of the schema', { signal, log }, async () => {
              await renew();
              return RENEW_MS;
            }),
            workSwitch.follow(signal, log),
            receiveMessages({
              service: name,
              q: db.pool,
              databaseUrl: config.database.url,
              secret: config.control.secret,
              target,
              generation,
              log,
              signal,
            }),
          ];
          try {
            await work({
              db,
              databaseOptions,
              replicas,
              queues,
              workOn,
              registry,
              config,
              log,
              signal,
              work: workSwitch,
              onPoll: (handler) => {
                poll = handler;
              },
              onAddField: (handler) => {
                addField = handler;
              },
            });
            await Promise.all(besides);
          } finally {
            await queues.close();
            await site.close();
            await budget.close();
            await health.close();
            await db.close();
          }
        },
      };
    },
  });
}
