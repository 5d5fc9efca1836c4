import type { Queryable } from './database.ts';

/** The lease is somebody else's now: whoever acted under it must stop. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/**
 * Takes a lease that is free, expired or the holder's own, for `ttlMs`.
 * @returns its epoch, greater each time the holder changes; null while somebody else holds it.
 */
export async function acquireLease(
  q: Queryable,
  name: string,
  holder: string,
  ttlMs: number,
): Promise<number | null> {
  const { rows } = await q.query<{ epoch: string }>(
    `insert into understudy.lease as l (name, holder, epoch, expires_at)
     values ($1, $2, 1, now() + make_interval(secs => $3::double precision / 1000))
     on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at,
       epoch = l.epoch + (l.holder <> excluded.holder)::int
     where l.holder = excluded.holder or l.expires_at < now()
     returning epoch`,
    [name, holder, ttlMs],
  );
  return rows[0] === undefined ? null : Number(rows[0].epoch);
}

/** Within a transaction: holds the lease's row until it ends. @throws LeaseLost when it is no longer the holder's. */
export async function assertLease(tx: Queryable, name: string, holder: string, epoch: number): Promise<void> {
  const { rowCount } = await tx.query(
    'select from understudy.lease where name = $1 and holder = $2 and epoch = $3 for share',
    [name, holder, epoch],
  );
  if (rowCount === 0) throw new LeaseLost(`${holder} lost the lease ${name}`);
}

/** Gives a lease back, so that a standby takes over at once. */
export async function releaseLease(q: Queryable, name: string, holder: string): Promise<void> {
  await q.query(`update understudy.lease set expires_at = 'epoch' where name = $1 and holder = $2`, [
    name,
    holder,
  ]);
}
