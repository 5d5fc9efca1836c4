import { isEntityRef } from '@understudy/domain/entity';
import { EVENT_LOG_ENTRY_FIELDS, type EventLogEntry } from '@understudy/domain/event';
import { and, type FilterLeaf, leaf } from '@understudy/site-client/filters';
import { createReprocess, type NewReprocessChunk } from '@understudy/store/reprocess';
import { normalizeEvent } from '../normalize.ts';
import { highestId } from '../plan-scan.ts';
import type { Replica } from '../replica.ts';

/** Entities that events named in one chunk: as many as one request asks for. */
const ENTITIES_PER_CHUNK = 200;
const EVENTS_PER_CHUNK = 500;

const wireTime = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

/**
 * Plans to go through retirements and revivals: those that events since a moment tell of, first (our log, and the site's
 * where ours does not reach back so far), then every id of each type, because an event may have been withheld.
 * @returns the run's id. @throws SiteUnavailable
 */
export async function planRetirementReprocess(
  replica: Replica,
  options: {
    readonly types: readonly string[];
    /** Undefined: events are not asked, every id is looked at. */
    readonly since?: Date;
    readonly chunkSize: number;
    readonly reason: string;
  },
): Promise<number> {
  const { since } = options;
  const chunks: NewReprocessChunk[] = [];
  const told =
    since === undefined ? new Map<string, Set<number>>() : await toldByEvents(replica, options.types, since);
  for (const [type, ids] of told) {
    const sorted = [...ids].sort((a, b) => a - b);
    for (let at = 0; at < sorted.length; at += ENTITIES_PER_CHUNK) {
      const some = sorted.slice(at, at + ENTITIES_PER_CHUNK);
      chunks.push({ kind: 'entities', type, fromId: some[0] ?? 0, toId: some.at(-1) ?? 0, ids: some });
    }
  }
  for (const type of options.types) {
    const highest = await highestId(replica, type, 'scan');
    for (let fromId = 1; fromId <= highest; fromId += options.chunkSize)
      chunks.push({ kind: 'ids', type, fromId, toId: fromId + options.chunkSize - 1 });
  }
  const run = { kind: 'retirement', reason: options.reason, since: since ?? null } as const;
  return replica.db.transaction((tx) => createReprocess(tx, run, chunks));
}

/** Type → ids of the entities that retirement and revival events name. */
async function toldByEvents(
  replica: Replica,
  types: readonly string[],
  since: Date,
): Promise<ReadonlyMap<string, ReadonlySet<number>>> {
  const told = new Map<string, Set<number>>();
  const eventTypes = types.flatMap((type) => [`Shotgun_${type}_Retirement`, `Shotgun_${type}_Revival`]);
  const take = (entry: EventLogEntry): void => {
    const { change } = normalizeEvent(entry, { tick: 0, late: false, schema: replica.schema });
    const target = change.kind === 'retire' || change.kind === 'revive' ? change.target : entry.entity;
    if (!isEntityRef(target)) return;
    told.set(target.type, (told.get(target.type) ?? new Set()).add(target.id));
  };
  const { rows } = await replica.db.pool.query<{ first: Date | null }>(
    'select min(created_at) as first from understudy.event_log',
  );
  const first = rows[0]?.first ?? null;
  const stored = await replica.db.pool.query<{ entry: EventLogEntry }>(
    'select entry from understudy.event_log where created_at >= $1 and event_type = any($2::text[]) order by id',
    [since, eventTypes],
  );
  for (const { entry } of stored.rows) take(entry);
  if (first === null || first.getTime() > since.getTime()) {
    const conditions: FilterLeaf[] = [
      leaf('event_type', 'in', ...eventTypes),
      leaf('created_at', 'greater_than', wireTime(new Date(since.getTime() - 1_000))),
    ];
    if (first !== null)
      conditions.push(leaf('created_at', 'less_than', wireTime(new Date(first.getTime() + 1_000))));
    const pages = replica.site.readAllById(
      { type: 'EventLogEntry', fields: EVENT_LOG_ENTRY_FIELDS, filters: and(...conditions) },
      { priority: 'scan' },
    );
    for await (const page of pages) for (const row of page.results) take(row as unknown as EventLogEntry);
  }
  return told;
}

/** Plans to apply a stretch of the stored log again, both ends belonging to it. @returns the run's id. */
export async function planEventReprocess(
  replica: Replica,
  options: { readonly fromId: number; readonly toId: number; readonly reason: string },
): Promise<number> {
  const { rows } = await replica.db.pool.query<{ first: string; last: string }>(
    `select min(id) as first, max(id) as last from (
       select id, (row_number() over (order by id) - 1) / $3 as part from understudy.event_log
       where id between $1 and $2) parts
     group by part order by part`,
    [options.fromId, options.toId, EVENTS_PER_CHUNK],
  );
  const chunks = rows.map(
    ({ first, last }): NewReprocessChunk => ({
      kind: 'events',
      type: '',
      fromId: Number(first),
      toId: Number(last),
    }),
  );
  return replica.db.transaction((tx) =>
    createReprocess(tx, { kind: 'events', reason: options.reason }, chunks),
  );
}
