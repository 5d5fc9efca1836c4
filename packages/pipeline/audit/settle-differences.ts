import { type AuditSource, recordAudit } from '@understudy/store/audits';
import { refreshEntities } from '../refresh-entities.ts';
import type { Replica } from '../replica.ts';
import type { EntityDifference } from '../verify/entity-state.ts';
import { recheck } from '../verify/recheck.ts';

/** How long the replica may take to hear of a change before it counts as a difference. */
const SETTLE_MS = 10_000;

/**
 * Looks again at entities that seemed to differ, records what is left of it with what was compared, and has the rest
 * fetched again.
 * @param compared how many entities were looked at in all.
 * @returns the entities that differ.
 * @throws SiteUnavailable, or the signal's reason.
 */
export async function settleDifferences(
  replica: Replica,
  source: AuditSource,
  found: {
    readonly type: string;
    readonly fields: readonly string[];
    readonly compared: number;
    readonly suspects: readonly number[];
  },
  signal: AbortSignal,
): Promise<readonly EntityDifference[]> {
  const { type, fields, suspects } = found;
  const { different } =
    suspects.length === 0
      ? { different: [] }
      : await recheck(replica, type, fields, suspects, { priority: 'audit', settleMs: SETTLE_MS, signal });
  const differences = different.map(({ id, kind, fields: ofFields }) => ({ id, kind, fields: ofFields }));
  await recordAudit(replica.db.pool, { source, type, compared: found.compared, differences });
  if (different.length > 0) {
    const ids = different.map(({ id }) => id);
    await refreshEntities(replica, type, ids, 'audit', source);
  }
  return different;
}
