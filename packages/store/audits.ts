import type { Queryable } from './database.ts';

/** `audit`: a sample of entities; `shadow`: a read of a client, asked of the site as well. */
export type AuditSource = 'audit' | 'shadow';

export interface AuditedDifference {
  readonly id: number;
  readonly kind: string;
  /** By field, what the site and the replica say. */
  readonly fields: object;
}

/** Records one comparison, also one that found nothing: the drift is a share. */
export async function recordAudit(
  tx: Queryable,
  audit: {
    readonly source: AuditSource;
    readonly type: string;
    readonly compared: number;
    readonly differences: readonly AuditedDifference[];
  },
): Promise<void> {
  await tx.query(
    `with made as (
       insert into understudy.audit (source, entity_type, compared, different) values ($1, $2, $3, $4) returning id)
     insert into understudy.audit_difference (audit_id, entity_id, kind, fields)
     select made.id, r.id, r.kind, r.fields
     from made, jsonb_to_recordset($5::jsonb) as r(id bigint, kind text, fields jsonb)`,
    [audit.source, audit.type, audit.compared, audit.differences.length, JSON.stringify(audit.differences)],
  );
}

/** How far the replica was found to differ from the site in the last day. */
export interface Drift {
  /** Entities compared, in samples and in clients' reads. */
  readonly compared: number;
  readonly different: number;
  /** From 0 to 1; null while nothing was compared. */
  readonly share: number | null;
  readonly lastAt: Date | null;
}

export async function readDrift(q: Queryable): Promise<Drift> {
  const { rows } = await q.query<{ compared: string | null; different: string | null; last: Date | null }>(
    `select sum(compared) as compared, sum(different) as different, max(at) as last
     from understudy.audit where at > now() - interval '1 day'`,
  );
  const [row] = rows;
  const compared = Number(row?.compared ?? 0);
  const different = Number(row?.different ?? 0);
  return {
    compared,
    different,
    share: compared === 0 ? null : different / compared,
    lastAt: row?.last ?? null,
  };
}

/** Forgets what is older than `keepDays`. */
export async function forgetAudits(q: Queryable, keepDays: number): Promise<void> {
  await q.query('delete from understudy.audit where at < now() - make_interval(days => $1)', [keepDays]);
}
