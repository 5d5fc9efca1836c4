import { auditSample } from '@understudy/pipeline/audit/audit-sample';
import { onReplica, type ReplicaSource } from '@understudy/pipeline/replica';
import type { Config } from '@understudy/runtime/config/sections';
import type { Logger } from '@understudy/runtime/logging';
import { loop } from '@understudy/runtime/loop';
import { isTypeServed } from '@understudy/store/followed-fields';

/** How often is looked whether this process leads. */
const LOOK_MS = 5_000;

/** Compares samples with the site from time to time, until the signal is aborted; one process of all does. */
export async function audit(parts: {
  readonly replicas: ReplicaSource;
  readonly config: Config;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly isLeading: () => boolean;
  /** Told how many entities were compared, and how many of them differed. */
  readonly onAudited: (compared: number, differing: number) => void;
}): Promise<void> {
  const { replicas, log, signal } = parts;
  const { intervalMs, sampleSize: size } = parts.config.audit;
  if (intervalMs === 0) return;
  await loop('auditing', { signal, log }, async () => {
    if (!parts.isLeading()) return Math.min(LOOK_MS, intervalMs);
    const audited = await onReplica(replicas.current, async (replica) => {
      const types: string[] = [];
      // What is not served yet is still being scanned: it differs, and nobody sees it.
      for (const type of replica.schema.types.keys())
        if (await isTypeServed(replica.db.pool, type)) types.push(type);
      return auditSample(replica, { types, size, signal });
    });
    if (audited !== null) parts.onAudited(audited.compared, audited.differences.length);
    for (const difference of audited?.differences ?? [])
      log.warn({ difference }, 'an entity differs from the site and is fetched again');
    return intervalMs;
  });
}
