import { randomUUID } from 'node:crypto';
import {
  prepareReplica,
  type Replica,
  type ReplicaSource,
  replicaSource,
} from '@understudy/pipeline/replica';
import type { Config } from '@understudy/runtime/config/sections';
import { receiveMessages } from '@understudy/runtime/control/receive';
import { done } from '@understudy/runtime/control/target';
import { beat, VERSION } from '@understudy/runtime/heartbeat';
import type { Logger } from '@understudy/runtime/logging';
import { loop, untilDone } from '@understudy/runtime/loop';
import { countSiteRequests } from '@understudy/runtime/metrics/site-metrics';
import { siteBudget } from '@understudy/runtime/site-budget';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { createSiteClient, isReadMethod } from '@understudy/site-client/site-client';
import { openDatabase } from '@understudy/store/database';
import { openReadConnections } from '@understudy/store/reads/read-connections';
import { Registry } from 'prom-client';
import { whyAlwaysSites } from './always-site.ts';
import { askSite } from './ask-site.ts';
import { createChangeWatch } from './change-watch.ts';
import { createCredentials } from './credentials.ts';
import { answerEventRead, isEventRead } from './event-reads.ts';
import type { AnswerCall } from './exchange.ts';
import { createInfoMirror } from './info.ts';
import { createKeptAnswers, type KeptAnswers } from './kept-answers.ts';
import { createKnownReads } from './known-reads.ts';
import type { LocalParts } from './local-answer.ts';
import { createMediaLinks } from './media-links.ts';
import { createMetrics } from './metrics.ts';
import { isOtherWrite, writeOther } from './other-writes.ts';
import { passThrough } from './pass-through.ts';
import { answerRead } from './read.ts';
import { createReadiness } from './readiness.ts';
import { createRefreshDebt } from './refresh-debt.ts';
import { createReplicaWatch } from './replica-state.ts';
import { createSchemaMirror, isSchemaRead, isSchemaWrite } from './schema-methods.ts';
import { createServer } from './server.ts';
import { createSessionOwner } from './session-owner.ts';
import { createShadowReads } from './shadow-reads.ts';
import { createSiteReach } from './site-reach.ts';
import { answerSummarize } from './summarize.ts';
import { openThumbnailCache, type ThumbnailCache } from './thumbnail-cache.ts';
import { createUpstream, type Upstream } from './upstream.ts';
import { writeEntities } from './write.ts';
import { isWriteMethod } from './write-requests.ts';

const SERVICE = 'api-reader';
/** Merging a write renews what is followed at once; this is for a reader that merges nothing. */
const RENEW_MS = 1_000;
/** How long a question of the reader's own (credentials, `info`) may take before the site counts as away. */
const ASK_TIMEOUT_MS = 10_000;
/** A read that takes PostgreSQL longer than this is the site's to answer. */
const QUERY_TIMEOUT_MS = 30_000;
/** Places among the requests to the site that are kept ready for clients. */
const SPARE_PLACES = 2;
/** Sockets to the site; the budget allows fewer calls, files need none of it. */
const CONNECTIONS = 128;

export interface Reader {
  /** Address that it listens on. */
  readonly url: string;
  /** Works until the signal is aborted, then drains and closes everything. */
  run(signal: AbortSignal): Promise<void>;
}

/** Opens the folder of thumbnails; without it links lead to the site, which is no reason to answer nobody. */
async function cacheOrNone(folder: string, bytesMax: number, log: Logger): Promise<ThumbnailCache | null> {
  try {
    return await openThumbnailCache(folder, bytesMax, log);
  } catch (error) {
    log.error({ err: error }, 'the folder of thumbnails cannot be used: links lead to the site');
    return null;
  }
}

/**
 * Builds a reader and lets it listen. It answers from the start: what cannot come from the replica, because the replica
 * or PostgreSQL is not there yet, passes through.
 * @param drain ends the process as SIGTERM does.
 */
export async function startReader(
  config: Pick<Config, 'site' | 'database' | 'schema' | 'history' | 'audit' | 'reader' | 'control'>,
  log: Logger,
  drain: () => void,
): Promise<Reader> {
  const databaseOptions = {
    url: config.database.url,
    poolSize: config.database.poolSize,
    applicationName: SERVICE,
    logsUpdates: config.history.enabled,
  };
  const db = await openDatabase(databaseOptions);
  const statements = openReadConnections({
    url: config.database.url,
    size: config.database.poolSize,
    applicationName: SERVICE,
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  const budget = siteBudget(config, SERVICE, log, SPARE_PLACES);
  const registry = new Registry();
  const clientOptions = {
    url: config.site.url,
    credentials: { scriptName: config.site.scriptName, scriptKey: config.site.scriptKey },
    budget,
    timeoutMs: config.site.timeoutMs,
    userAgent: `understudy-${SERVICE}/${VERSION}`,
    onRequest: countSiteRequests(registry),
  };
  const site = createSiteClient(clientOptions);
  const asker = createSiteClient({
    ...clientOptions,
    timeoutMs: Math.min(ASK_TIMEOUT_MS, config.site.timeoutMs),
    retries: 0,
  });
  const reach = createSiteReach();
  const upstreamTo = (url: string): Upstream =>
    createUpstream({ url, timeoutMs: config.site.timeoutMs, connections: CONNECTIONS, budget, reach });
  const upstream = upstreamTo(config.site.url);
  const watch = createReplicaWatch(db, config.site.url, config.reader.generation, log);
  const { authTtlMs, authGraceMs, localRuleSets, maxLagMs } = config.reader;
  const credentials = createCredentials({
    ask: askSite({
      site: asker,
      reach,
      localRuleSets,
      ownScript: config.site.scriptName,
      sessionOwner: createSessionOwner(upstream, randomUUID),
    }),
    reach,
    ttlMs: authTtlMs,
    graceMs: authGraceMs,
    servesUsers: localRuleSets.length > 0,
  });
  const info = createInfoMirror({ site: asker, reach, version: VERSION });
  const debt = createRefreshDebt(log);
  let prepared: ReplicaSource | null = null;
  const replica = (): Replica | null => prepared?.current ?? null;
  const whyNotReady = createReadiness(replica, watch);

  const mediaLinks = createMediaLinks(config.site.scriptKey);
  const { publicUrl, mediaFolder, mediaBytes } = config.reader;
  const cache = mediaFolder === '' ? null : await cacheOrNone(mediaFolder, mediaBytes, log);
  // A connection of its own: it lives as long as what was seen through it can be relied upon.
  const looks = openReadConnections({
    url: config.database.url,
    size: 1,
    applicationName: `${SERVICE} changes`,
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  const changes = createChangeWatch(looks, db.pool, log);
  const answers = createKeptAnswers(changes, config.reader.answersBytes);
  let answersFor: CachedSchema | null = null;
  const answersOf = (schema: CachedSchema): KeptAnswers => {
    if (answersFor !== schema) answers.clear();
    answersFor = schema;
    return answers;
  };
  const localParts = {
    replica,
    statements,
    answersOf,
    watch,
    credentials,
    upstream,
    reach,
    debt,
    maxLagMs,
    mediaLinks,
    publicUrl,
    log,
  };
  const knownReads = createKnownReads(localParts);
  const local: LocalParts = { ...localParts, knownReads };
  const schema = createSchemaMirror({ local, siteUrl: config.site.url });

  const metrics = createMetrics(registry, watch, answers, knownReads);
  const shadows = createShadowReads({
    share: config.audit.shadowShare,
    site: asker,
    replica,
    registry: metrics.registry,
    log,
  });
  const shadowed: AnswerCall = (call) =>
    answerRead(local, call).then((answered) => {
      shadows.offer(() => call, answered);
      return answered;
    });

  const writing = { upstream, credentials, debt, replica, log };
  const answer: AnswerCall = (call) => {
    const { method } = call.envelope;
    if (method === 'info') return info.answer();
    const why = isReadMethod(method) ? whyAlwaysSites(call) : null;
    if (why !== null) return passThrough(upstream, call, why);
    if (method === 'read') {
      return isEventRead(call) ? answerEventRead(local, call, schema.eventLog()) : shadowed(call);
    }
    if (method === 'summarize') return answerSummarize(local, call);
    if (isSchemaRead(method)) return schema.answer(call, method);
    if (isWriteMethod(method)) return writeEntities(writing, call, method);
    if (isSchemaWrite(method)) return schema.write(call);
    if (isOtherWrite(method)) return writeOther(writing, call);
    return passThrough(upstream, call, 'method');
  };
  const app = await createServer({
    config,
    log,
    watch,
    metrics,
    upstreamTo,
    passedOn: {
      upstreamOf: () => upstream,
      settling: { debt, replica, log },
      schemaChanged: schema.changed,
      prefix: '',
    },
    media: { links: mediaLinks, site: asker, siteUrl: config.site.url, reach, cache, log },
    answer,
    knownReads,
    offerShadow: shadows.offer,
    whyNotReady,
  });
  const url = await app.listen({ host: config.reader.host, port: config.reader.port });

  const prepare = async (signal: AbortSignal): Promise<void> => {
    const first = await untilDone('preparing the replica', { signal, log }, () =>
      prepareReplica({
        db,
        databaseOptions,
        site,
        siteUrl: config.site.url,
        schemaFile: config.schema.file,
      }),
    );
    log.info({ types: first.schema.types.size }, 'the replica’s schema is known');
    const replicas = replicaSource(first);
    prepared = replicas;
    await loop('looking for changes of the schema', { signal, log }, async () => {
      if (await replicas.renew()) log.info({ epoch: replicas.current.epoch }, 'another schema is followed');
      return RENEW_MS;
    });
  };

  return {
    url,
    run: async (signal) => {
      const work = Promise.all([
        watch.run(signal),
        changes.run(signal),
        info.run(signal),
        debt.run(replica, signal),
        beat(db.pool, SERVICE, { signal, log, state: () => whyNotReady() ?? 'serving' }),
        prepare(signal),
        receiveMessages({
          service: SERVICE,
          q: db.pool,
          databaseUrl: config.database.url,
          secret: config.control.secret,
          target: {
            log,
            drain,
            reloadSchema: async () => done('looks four times a second by itself'),
          },
          generation: () => {
            const generation = watch.current()?.servable.generation ?? null;
            return generation === null ? null : `${generation}`;
          },
          log,
          signal,
        }),
        schema.run(signal),
      ]);
      try {
        await work;
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        await app.close();
        await shadows.close();
        await Promise.all([upstream.close(), site.close(), asker.close()]);
        await Promise.all([statements.close(), looks.close()]);
        await budget.close();
        await db.close();
      }
    },
  };
}
