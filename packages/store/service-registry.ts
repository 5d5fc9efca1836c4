import type { Queryable } from './database.ts';

/** Records that a process lives, and what it does. */
export async function heartbeat(
  q: Queryable,
  beat: {
    readonly service: string;
    readonly instance: string;
    readonly version: string;
    readonly state: string;
    readonly detail?: object;
  },
): Promise<void> {
  await q.query(
    `insert into understudy.service (service, instance, version, state, detail) values ($1, $2, $3, $4, $5)
     on conflict (service, instance) do update set version = excluded.version, state = excluded.state,
       detail = excluded.detail, seen_at = now()`,
    [beat.service, beat.instance, beat.version, beat.state, JSON.stringify(beat.detail ?? {})],
  );
}

/** Forgets a process that ended, and those silent for a day. */
export async function forgetService(q: Queryable, service: string, instance: string): Promise<void> {
  await q.query(
    `delete from understudy.service where (service = $1 and instance = $2) or seen_at < now() - interval '1 day'`,
    [service, instance],
  );
}

/** Processes that gave a sign of life within `withinMs`. */
export async function aliveServices(
  q: Queryable,
  withinMs: number,
): Promise<readonly { readonly service: string; readonly instance: string }[]> {
  const { rows } = await q.query<{ service: string; instance: string }>(
    `select service, instance from understudy.service
     where seen_at > now() - make_interval(secs => $1::double precision / 1000) order by service, instance`,
    [withinMs],
  );
  return rows;
}
