import { type ByPriority, PRIORITIES, type Priority } from '@understudy/site-client/budget';

/** What one process needs of the places that all share. */
export interface Demand {
  readonly holder: string;
  /** Places it could use now, by priority. */
  readonly wants: ByPriority;
  /** Places that it likes to have ready for what comes next, so that it need not ask for them first. */
  readonly spare: number;
}

/** With this many places or more, no priority is shut out whatever the others want. */
const FLOORS_FROM = 6;
/** Those that would make the replica stale, or never whole, if they stood still. Clients come first in any case. */
const FLOORED: readonly Priority[] = ['poll', 'refresh', 'scan'];
/** Ready places come before these. */
const AFTER_SPARES: ReadonlySet<Priority> = new Set(['scan', 'audit']);

/**
 * Divides the places among the processes: by priority, evenly among those who want a priority; a process that keeps
 * places ready for its clients has them before scans and audits get theirs, but not more than half of all. From six
 * places on, polls, refreshes and scans keep one each however much the clients ask.
 * @returns how many places each holder may have; together never more than `concurrency`.
 */
export function allocate(concurrency: number, demands: readonly Demand[]): ReadonlyMap<string, number> {
  const given = new Map(demands.map(({ holder }) => [holder, 0]));
  const open = demands.map(({ holder, wants, spare }) => ({ holder, wants: { ...wants }, spare }));
  let left = concurrency;
  const give = (holder: string): void => {
    given.set(holder, (given.get(holder) ?? 0) + 1);
    left -= 1;
  };
  /** One after the other gets one, until nobody wants more or `most` are given. */
  const deal = (most: number, take: (demand: (typeof open)[number]) => boolean): void => {
    let dealt = 0;
    for (let anyone = true; anyone; ) {
      anyone = false;
      for (const demand of open) {
        if (left === 0 || dealt === most) return;
        if (!take(demand)) continue;
        give(demand.holder);
        dealt += 1;
        anyone = true;
      }
    }
  };
  const takeWant = (priority: Priority) => (demand: (typeof open)[number]) => {
    if (demand.wants[priority] < 1) return false;
    demand.wants[priority] -= 1;
    return true;
  };
  if (concurrency >= FLOORS_FROM) for (const priority of FLOORED) deal(1, takeWant(priority));
  const dealSpares = (): void =>
    deal(Math.floor(concurrency / 2), (demand) => {
      if (demand.spare < 1) return false;
      demand.spare -= 1;
      return true;
    });
  let areSparesDealt = false;
  for (const priority of PRIORITIES) {
    if (AFTER_SPARES.has(priority) && !areSparesDealt) {
      dealSpares();
      areSparesDealt = true;
    }
    deal(Number.POSITIVE_INFINITY, takeWant(priority));
  }
  return given;
}
