import { applyEvents } from '@understudy/pipeline/apply-events';
import { parseEventsJob, parseRefreshJob } from '@understudy/pipeline/contracts';
import { enqueueRefreshes } from '@understudy/pipeline/enqueue';
import { pause } from '@understudy/runtime/loop';
import { runReplicaService } from '@understudy/runtime/replica-service';
import { dueRefreshes } from '@understudy/store/refresh-requests';
import { createApplierMetrics } from './metrics.ts';
import { isDataError, park } from './park.ts';
import { refreshDue } from './refresh.ts';

const IDLE_MS = 60_000;

await runReplicaService('applier', async (service) => {
  const { replicas, queues, workOn, registry, config, log, signal, work } = service;
  const refreshes = queues.queue('refresh');
  const metrics = createApplierMetrics(registry);

  const events = workOn(
    'events',
    async (job) => {
      const batch = parseEventsJob(job.data);
      const types = new Set<string>();
      const apply = async (some: typeof batch): Promise<void> => {
        const applied = await applyEvents(replicas.current, some);
        for (const type of applied.types) types.add(type);
        metrics.countApplied(applied.count);
      };
      try {
        await apply(batch);
      } catch (error) {
        if (!isDataError(error)) throw error;
        // One of them is at fault: each by itself, so that the others are applied.
        for (const event of batch) {
          try {
            await apply([event]);
          } catch (cause) {
            if (!isDataError(cause)) throw cause;
            log.error({ err: cause, event: event.id }, 'an event cannot be applied and is put aside');
            await park(replicas.current, event, cause);
            metrics.countParked();
          }
        }
      }
      await enqueueRefreshes(refreshes, types);
    },
    { concurrency: config.applier.concurrency },
  );

  const refreshing = workOn(
    'refresh',
    async (job) => {
      const type = parseRefreshJob(job.data);
      const count = await refreshDue(replicas.current, type, config.applier.refreshPageSize);
      metrics.countRefreshed(count);
      if (count > 0) log.debug({ type, count }, 'refreshed');
    },
    {
      concurrency: config.applier.concurrency,
      // What was asked for while the job was ending found its id taken; it is not to wait for the sweeper.
      afterwards: async (job) => {
        const type = parseRefreshJob(job.data);
        const isDue = (await dueRefreshes(replicas.current.db.pool, type, 1)).length > 0;
        if (isDue) await enqueueRefreshes(refreshes, [type]);
      },
    },
  );

  // At once: neither is to take a job before it is paused.
  await Promise.all([work.govern(events), work.govern(refreshing)]);
  while (!signal.aborted) await pause(IDLE_MS, signal);
  await Promise.all([events.close(), refreshing.close()]);
});
