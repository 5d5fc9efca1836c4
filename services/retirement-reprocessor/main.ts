import { parseReprocessJob } from '@understudy/pipeline/contracts';
import { enqueueRefreshes, enqueueReprocessChunks } from '@understudy/pipeline/enqueue';
import { onReplica } from '@understudy/pipeline/replica';
import { planRetirementReprocess } from '@understudy/pipeline/reprocess/plan-reprocess';
import { processReprocessChunk } from '@understudy/pipeline/reprocess/process-chunk';
import { holderName } from '@understudy/runtime/heartbeat';
import { loop } from '@understudy/runtime/loop';
import { runReplicaService } from '@understudy/runtime/replica-service';
import { forgetAudits } from '@understudy/store/audits';
import { keepUpdateLog } from '@understudy/store/data-updates';
import { acquireLease, releaseLease } from '@understudy/store/lease';
import {
  claimReprocessChunk,
  extendReprocessChunk,
  failReprocessChunk,
  lastReprocessAt,
  openReprocessChunks,
} from '@understudy/store/reprocess';
import { lastScanAt } from '@understudy/store/scans';
import { databaseTime } from '@understudy/store/site-schema';
import { audit } from './audit.ts';
import { createReprocessorMetrics } from './metrics.ts';

const LEASE = 'retirement-reprocessor';
const LEASE_MS = 15_000;
const PLAN_MS = 1_000;
const CHUNKS_AT_ONCE = 200;
/** A chunk whose worker has shown no page for this long is given to another. */
const CHUNK_MS = 20_000;
const HOUSEKEEPING_MS = 60 * 60_000;

await runReplicaService('retirement-reprocessor', async (service) => {
  const { db, replicas, queues, workOn, registry, config, log, signal, work } = service;
  const { pool } = db;
  const queue = queues.queue('reprocess');
  const holder = holderName();
  const metrics = createReprocessorMetrics(registry);
  let leads = false;
  let keptAt = Number.NEGATIVE_INFINITY;

  const worker = workOn(
    'reprocess',
    async (job) => {
      const chunk = await claimReprocessChunk(pool, parseReprocessJob(job.data), CHUNK_MS);
      if (chunk === null) return;
      try {
        const done = await processReprocessChunk(replicas.current, chunk, {
          onPage: async () => {
            await extendReprocessChunk(pool, chunk.id, CHUNK_MS);
            signal.throwIfAborted();
          },
          onTypes: (types) => enqueueRefreshes(queues.queue('refresh'), types),
        });
        metrics.countChunk({ kind: chunk.kind, ...done });
        const level = done.repaired > 0 ? 'info' : 'debug';
        log[level]({ kind: chunk.kind, type: chunk.type, from: chunk.fromId, ...done }, 'reprocessed');
      } catch (error) {
        if (signal.aborted) {
          await failReprocessChunk(pool, chunk.id, 'its process was stopped');
          return;
        }
        metrics.countFailure(chunk.kind);
        await failReprocessChunk(pool, chunk.id, error instanceof Error ? error.message : String(error));
        throw error;
      }
    },
    { concurrency: config.reprocessor.concurrency },
  );

  await work.govern(worker);
  const auditing = audit({
    replicas,
    config,
    log,
    signal,
    isLeading: () => leads && !work.paused,
    onAudited: (compared, differing) => metrics.countAudit(compared, differing),
  });
  await loop('planning', { signal, log, bell: work.bell }, async () => {
    leads = (await acquireLease(pool, LEASE, holder, LEASE_MS)) !== null;
    if (!leads) return LEASE_MS / 4;
    if (performance.now() - keptAt > HOUSEKEEPING_MS) {
      await forgetAudits(pool, config.audit.keepDays);
      const dropped = await keepUpdateLog(db, config.history.keepDays);
      if (dropped > 0) log.info({ weeks: dropped }, 'old weeks of the data-update log are forgotten');
      keptAt = performance.now();
    }
    if (work.paused) return PLAN_MS;
    const { intervalMs, chunkSize } = config.reprocessor;
    if (intervalMs > 0) {
      // Nothing to compare before the first scan, which is a comparison itself.
      const last = (await lastReprocessAt(pool, 'retirement')) ?? (await lastScanAt(pool, 'full'));
      if (last !== null && (await databaseTime(pool)).getTime() - last.getTime() > intervalMs) {
        await onReplica(replicas.current, (replica) =>
          planRetirementReprocess(replica, {
            types: [...replica.schema.types.keys()],
            since: last,
            chunkSize,
            reason: 'schedule',
          }),
        );
        log.info({ since: last }, 'retirements and revivals are gone through');
      }
    }
    await enqueueReprocessChunks(queue, await openReprocessChunks(pool, CHUNKS_AT_ONCE));
    return PLAN_MS;
  });
  await Promise.all([worker.close(), auditing]);
  await releaseLease(pool, LEASE, holder);
});
