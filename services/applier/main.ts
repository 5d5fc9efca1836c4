import { applyEvents } from '@understudy/pipeline/apply-events';
import { parseEventsJob, parseRefreshJob } from '@understudy/pipeline/contracts';
import { enqueueRefreshes } from '@understudy/pipeline/enqueue';
import { pause } from '@understudy/runtime/loop';
import { runReplicaService } from '@understudy/runtime/replica-service';
import { isDataError, park } from './park.ts';
import { refreshDue } from './refresh.ts';

const IDLE_MS = 60_000;

await runReplicaService('applier', async ({ replicas, queues, config, log, signal, work }) => {
  const refreshes = queues.queue('refresh');
  const onError = (error: Error): void => log.warn({ err: error }, 'a job failed, or the queue is away');

  const events = queues.worker(
    'events',
    async (job) => {
      const batch = parseEventsJob(job.data);
      const types = new Set<string>();
      try {
        for (const type of await applyEvents(replicas.current, batch)) types.add(type);
      } catch (error) {
        if (!isDataError(error)) throw error;
        // One of them is at fault: each by itself, so that the others are applied.
        for (const event of batch) {
          try {
            for (const type of await applyEvents(replicas.current, [event])) types.add(type);
          } catch (cause) {
            if (!isDataError(cause)) throw cause;
            log.error({ err: cause, event: event.id }, 'an event cannot be applied and is put aside');
            await park(replicas.current, event, cause);
          }
        }
      }
      await enqueueRefreshes(refreshes, types);
    },
    { concurrency: config.applier.concurrency, onError },
  );

  const refreshing = queues.worker(
    'refresh',
    async (job) => {
      const type = parseRefreshJob(job.data);
      const count = await refreshDue(replicas.current, type, config.applier.refreshPageSize);
      if (count > 0) log.debug({ type, count }, 'refreshed');
    },
    { concurrency: config.applier.concurrency, onError },
  );

  await work.govern(events);
  await work.govern(refreshing);
  while (!signal.aborted) await pause(IDLE_MS, signal);
  await Promise.all([events.close(), refreshing.close()]);
});
