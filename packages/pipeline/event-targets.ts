import { type EntityLink, isEntityRef } from '@understudy/domain/entity';
import type { EventLogEntry } from '@understudy/domain/event';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { LinkTarget } from '@understudy/store/link-targets';

/** Older than everything: it is taken only where nothing is known. */
export const NO_TICK = 0;

/**
 * What an event's own links tell of the entities that they lead to, so that a read of the event shows them. Of entities
 * that the replica keeps, rows know better; of others the newest event does.
 */
export function eventTargets(
  entry: EventLogEntry,
  tick: number,
  schema: CachedSchema,
): readonly LinkTarget[] {
  const targets: LinkTarget[] = [];
  for (const link of [entry.entity, entry.project, entry.user]) {
    if (!isEntityRef(link)) continue;
    const isKept = schema.types.has(link.type);
    // People and projects are kept long before they are in an event; what the event is about may be new.
    if (isKept && link !== entry.entity) continue;
    const { type, id, name } = link as EntityLink;
    targets.push({ type, id, name: name ?? null, active: true, tick: isKept ? NO_TICK : tick });
  }
  return targets;
}
