import type { Priority } from '@understudy/site-client/budget';
import { and, leaf } from '@understudy/site-client/filters';
import { entityTable } from '@understudy/store/entity-tables';
import { refreshEntities, refreshLinkers } from '../refresh-entities.ts';
import type { Replica } from '../replica.ts';

/** Which entities of a type to look at: a range of ids, both ends belonging to it, or some ids of it. */
export interface StateRange {
  readonly type: string;
  readonly fromId: number;
  readonly toId: number;
  readonly ids?: readonly number[];
}

export interface Repaired {
  readonly checked: number;
  readonly repaired: number;
}

/** As many as one request asks for. */
const PAGE = 200;
const ID_PAGE = 2_000;

/**
 * Compares who is alive and who is retired with the site, by ids alone, which is cheap, and fetches those again that are
 * not as on the site: retired, revived, made or removed without the replica having heard of it. What links to a revived
 * one is fetched as well. Doing it again does no harm.
 * @param onPage called after each answer of the site.
 * @throws SiteUnavailable
 */
export async function repairStates(
  replica: Replica,
  range: StateRange,
  options: { readonly priority: Priority; readonly onPage: () => Promise<void> },
): Promise<Repaired> {
  const cached = replica.schema.types.get(range.type);
  if (cached === undefined) return { checked: 0, repaired: 0 };
  const { rows } = await replica.db.pool.query<{ id: string; active: boolean }>(
    `select id, _active as active from ${entityTable(cached).sqlName}
     where id between $1 and $2 and ($3::bigint[] is null or id = any($3::bigint[]))`,
    [range.fromId, range.toId, range.ids ?? null],
  );
  const ours = new Map(rows.map((row) => [Number(row.id), row.active]));
  const theirs = new Map<number, boolean>();
  for (const returnOnly of ['active', 'retired'] as const) {
    const pages = replica.site.readAllById(
      {
        type: range.type,
        fields: ['id'],
        fromId: range.fromId,
        toId: range.toId,
        returnOnly,
        pageSize: ID_PAGE,
        ...(range.ids === undefined ? {} : { filters: and(leaf('id', 'in', ...range.ids)) }),
      },
      { priority: options.priority },
    );
    for await (const page of pages) {
      for (const { id } of page.results) theirs.set(id, returnOnly === 'active');
      await options.onPage();
    }
  }
  const different = [...new Set([...ours.keys(), ...theirs.keys()])]
    .filter((id) => ours.get(id) !== theirs.get(id))
    .sort((a, b) => a - b);
  for (let at = 0; at < different.length; at += PAGE) {
    const ids = different.slice(at, at + PAGE);
    const revived = ids.filter((id) => ours.get(id) === false && theirs.get(id) === true);
    // First: once it is alive here as well, nobody would look for what links to it.
    const linkers =
      revived.length === 0 ? null : await refreshLinkers(replica, range.type, revived, options.priority);
    await refreshEntities(replica, range.type, ids, options.priority, 'reprocess', linkers);
    await options.onPage();
  }
  return { checked: new Set([...ours.keys(), ...theirs.keys()]).size, repaired: different.length };
}
