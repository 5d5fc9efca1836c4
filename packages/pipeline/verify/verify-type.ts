import type { EntityRow } from '@understudy/domain/entity';
import type { Priority } from '@understudy/site-client/budget';
import { and, type FilterGroup, leaf } from '@understudy/site-client/filters';
import { entityTable } from '@understudy/store/entity-tables';
import { fetchedFields } from '@understudy/store/merge/fetched';
import type { Replica } from '../replica.ts';
import { compareRows } from './compare-rows.ts';
import type { EntityDifference } from './entity-state.ts';
import { type Rechecked, recheck } from './recheck.ts';
import { replicaRows } from './replica-rows.ts';

export interface VerifyOptions {
  readonly priority: Priority;
  /** Which entities; undefined: all. */
  readonly filters?: FilterGroup;
  readonly settleMs: number;
  readonly signal: AbortSignal;
  /** Told how many more entities were compared. */
  readonly onCompared: (count: number) => void;
  /** Told of each entity that differs. */
  readonly onDifference: (difference: EntityDifference) => void;
}

export interface VerifiedType {
  readonly type: string;
  readonly active: number;
  readonly retired: number;
  readonly different: number;
  /** Entities that changed whenever they were looked at: nothing is said of them. */
  readonly unsettled: readonly number[];
}

/** Entities looked at again at once. */
const RECHECK_SIZE = 200;

/**
 * Compares every entity of a type, alive and retired, every cached field, with what a reader would answer, page by page
 * in flat memory. What seems to differ is looked at again before it counts.
 * @throws SiteUnavailable, or the signal's reason.
 */
export async function verifyType(
  replica: Pick<Replica, 'db' | 'schema' | 'site'>,
  type: string,
  options: VerifyOptions,
): Promise<VerifiedType> {
  const cached = replica.schema.types.get(type);
  if (cached === undefined) throw new RangeError(`${type} is not cached`);
  const fields = fetchedFields(entityTable(cached));
  const counts = { active: 0, retired: 0 };
  const suspects = new Set<number>();
  let different = 0;
  const unsettled: number[] = [];
  const lookAgain = async (): Promise<void> => {
    const ids = [...suspects];
    suspects.clear();
    const found: Rechecked = await recheck(replica, type, fields, ids, options);
    for (const difference of found.different) options.onDifference(difference);
    different += found.different.length;
    unsettled.push(...found.unsettled);
  };
  for (const returnOnly of ['active', 'retired'] as const) {
    for await (const page of pagesOfBoth(replica, type, fields, returnOnly, options)) {
      options.signal.throwIfAborted();
      counts[returnOnly] += page.site.length;
      for (const id of suspectsOf(fields, page)) suspects.add(id);
      options.onCompared(page.site.length);
      if (suspects.size >= RECHECK_SIZE) await lookAgain();
    }
  }
  if (suspects.size > 0) await lookAgain();
  return { type, ...counts, different, unsettled };
}

interface Page {
  readonly site: readonly EntityRow[];
  readonly replica: readonly EntityRow[];
}

/** Pages of the site, each with the replica's rows of the same range of ids; together they cover every id. */
async function* pagesOfBoth(
  replica: Pick<Replica, 'db' | 'schema' | 'site'>,
  type: string,
  fields: readonly string[],
  returnOnly: 'active' | 'retired',
  { priority, filters = and(), signal }: VerifyOptions,
): AsyncGenerator<Page> {
  let from = 1;
  const request = { type, fields, filters, returnOnly };
  const ours = async (toId: number): Promise<readonly EntityRow[]> => {
    const range = and(leaf('id', 'greater_than', from - 1), leaf('id', 'less_than', toId + 1), filters);
    const rows: EntityRow[] = [];
    for await (const row of replicaRows(replica, { type, fields, returnOnly, filters: range }))
      rows.push(row);
    return rows;
  };
  for await (const { results } of replica.site.readAllById(request, { priority, signal })) {
    const last = results.at(-1)?.id;
    if (last === undefined) break;
    yield { site: results, replica: await ours(last) };
    from = last + 1;
  }
  // Beyond the site's last row the replica should have none.
  yield { site: [], replica: await ours(Number.MAX_SAFE_INTEGER - 1) };
}

function suspectsOf(fields: readonly string[], page: Page): readonly number[] {
  const ours = new Map(page.replica.map((row) => [row.id, row]));
  const suspects: number[] = [];
  for (const row of page.site) {
    const mine = ours.get(row.id);
    ours.delete(row.id);
    if (mine === undefined || Object.keys(compareRows(fields, row, mine)).length > 0) suspects.push(row.id);
  }
  return [...suspects, ...ours.keys()];
}
