import type { EntityRef } from '@understudy/domain/entity';
import type { Replica } from '@understudy/pipeline/replica';
import type { Logger } from '@understudy/runtime/logging';
import { and, leaf } from '@understudy/site-client/filters';
import { recordWrittenEvents } from '@understudy/store/written-events';
import { changedConnectionRows } from './connection-rows.ts';
import type { RefreshDebt, Written } from './refresh-debt.ts';
import { sideEffects } from './side-effects.ts';
import type { WriteRequest } from './write-requests.ts';

export interface SettleParts {
  readonly debt: RefreshDebt;
  /** Null while it is not ready; writes are then merged later. */
  readonly replica: () => Replica | null;
  readonly log: Logger;
}

/** What became of a write: the site did it, or said that there was nothing to do, or its answer was lost. */
export type WriteOutcome = 'done' | 'nothing-to-do' | 'unknown';

/**
 * Has everything that a write changed fetched and merged. To be called once the site has answered, or once its answer is
 * lost. Never throws.
 * @param subjects what the write was about, as far as is known.
 */
export type Settle = (subjects: readonly EntityRef[], outcome: WriteOutcome) => Promise<void>;

const TASK = 'Task';
const EVENT_LOG_ENTRY = 'EventLogEntry';

/**
 * Tasks that the site made from a task template, of which the reply says nothing (protocol §5.1). The replica cannot
 * know them, so the site is asked.
 */
async function templateTasks(
  replica: Replica,
  requests: readonly (WriteRequest | null)[],
  subjects: readonly EntityRef[],
): Promise<readonly EntityRef[]> {
  const types = new Set(
    requests.flatMap((request) => (request?.fields.includes('task_template') ? [request.type] : [])),
  );
  const owners = subjects.filter((ref) => types.has(ref.type) && ref.type !== TASK);
  if (owners.length === 0 || !replica.schema.types.has(TASK)) return [];
  const filters = and(leaf('entity', 'in', ...owners.map(({ type, id }) => ({ type, id }))));
  const found: EntityRef[] = [];
  const pages = replica.site.readAllById(
    { type: TASK, fields: ['id'], filters, returnOnly: 'active' },
    { priority: 'client' },
  );
  for await (const page of pages) found.push(...page.results.map(({ id }) => ({ type: TASK, id })));
  return found;
}

/** Entities that a write revives, if it is done. */
function revivedBy(requests: readonly (WriteRequest | null)[]): readonly Written[] {
  return requests.flatMap((request) =>
    request?.kind === 'revive' && request.id !== null
      ? [{ type: request.type, id: request.id, linkers: true }]
      : [],
  );
}

/**
 * Begins to find out what a write will change besides what it names. To be called before it is sent: what it links to
 * now is known no more once it is merged.
 */
export function beginSettling(
  parts: SettleParts,
  requests: readonly (WriteRequest | null)[],
  requestId: string,
): Settle {
  const { debt, log } = parts;
  const replica = parts.replica();
  if (replica === null) return (subjects) => debt.settle(null, subjects);
  const affected = sideEffects(replica.db.pool, replica.schema, requests).catch((error: unknown) => {
    log.warn({ err: error, requestId }, 'the side effects of a write are not known');
    return [];
  });
  return async (subjects, outcome) => {
    const notKnown =
      (what: string) =>
      (error: unknown): readonly EntityRef[] => {
        log.warn({ err: error, requestId }, `the ${what} of a write are not known`);
        return [];
      };
    const made =
      outcome !== 'done'
        ? []
        : await Promise.all([
            templateTasks(replica, requests, subjects).catch(notKnown('tasks of a template')),
            changedConnectionRows(replica, requests, subjects).catch(notKnown('connection rows')),
          ]);
    const revived = outcome === 'nothing-to-do' ? [] : revivedBy(requests);
    const entries = subjects.flatMap(({ type, id }) => (type === EVENT_LOG_ENTRY ? [id] : []));
    await recordWrittenEvents(replica.db.pool, entries).catch(notKnown('entries of the event log'));
    await debt.settle(replica, [...subjects, ...revived, ...(await affected), ...made.flat()]);
  };
}
