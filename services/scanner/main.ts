import { parseScanJob } from '@understudy/pipeline/contracts';
import { enqueueChunks } from '@understudy/pipeline/enqueue';
import { onReplica } from '@understudy/pipeline/replica';
import { holderName } from '@understudy/runtime/heartbeat';
import { loop } from '@understudy/runtime/loop';
import { runReplicaService } from '@understudy/runtime/replica-service';
import { acquireLease, releaseLease } from '@understudy/store/lease';
import { claimChunk, extendChunk, failChunk, openChunks } from '@understudy/store/scans';
import { generationKeeper } from './keep-generations.ts';
import { createScannerMetrics } from './metrics.ts';
import { planDue } from './plan.ts';
import { scanChunk } from './scan-chunk.ts';

const LEASE = 'scanner';
const LEASE_MS = 15_000;
const PLAN_MS = 1_000;
const CHUNKS_AT_ONCE = 200;
/** A chunk whose worker has shown no page for this long is given to another. */
const CHUNK_MS = 20_000;

await runReplicaService('scanner', async (service) => {
  const { db, replicas, queues, workOn, registry, config, log, signal, work } = service;
  const { pool } = db;
  const queue = queues.queue('scan');
  const holder = holderName();
  const metrics = createScannerMetrics(registry);
  const keepGenerations = generationKeeper(db, config.schema.retiredKeepMs, log);

  const worker = workOn(
    'scan',
    async (job) => {
      const chunk = await claimChunk(pool, parseScanJob(job.data), CHUNK_MS);
      if (chunk === null) return;
      try {
        const rows = await scanChunk(replicas.current, chunk, {
          pageSize: config.scanner.pageSize,
          onPage: async (count) => {
            metrics.countPage(chunk.kind, count);
            await extendChunk(pool, chunk.id, CHUNK_MS);
            // A chunk may be a whole type, and take hours: whoever stops this process does not wait for its end.
            signal.throwIfAborted();
          },
        });
        metrics.countChunk(chunk.kind, 'done');
        log.debug({ type: chunk.type, from: chunk.fromId, rows, kind: chunk.kind }, 'scanned');
      } catch (error) {
        if (signal.aborted) {
          await failChunk(pool, chunk.id, 'its scanner was stopped');
          return;
        }
        metrics.countChunk(chunk.kind, 'failed');
        await failChunk(pool, chunk.id, error instanceof Error ? error.message : String(error));
        throw error;
      }
    },
    { concurrency: config.scanner.concurrency },
  );

  await work.govern(worker);
  await loop('planning', { signal, log, bell: work.bell }, async () => {
    if ((await acquireLease(pool, LEASE, holder, LEASE_MS)) === null) return LEASE_MS / 4;
    await keepGenerations();
    if (work.paused) return PLAN_MS;
    const planned = await onReplica(replicas.current, (replica) => planDue(replica, config.scanner));
    for (const kind of planned) {
      metrics.countPlanned(kind);
      log.info({ kind }, 'a scan begins');
    }
    await enqueueChunks(queue, await openChunks(pool, CHUNKS_AT_ONCE));
    return PLAN_MS;
  });
  await worker.close();
  await releaseLease(pool, LEASE, holder);
});
