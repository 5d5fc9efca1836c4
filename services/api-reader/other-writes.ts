import { type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import type { Replica } from '@understudy/pipeline/replica';
import { and, type FilterGroup, leaf } from '@understudy/site-client/filters';
import { isReadMethod } from '@understudy/site-client/site-client';
import type { Answer, ApiCall } from './api-call.ts';
import { type WriteParts, writeThrough } from './write.ts';

/** Methods that are no reads by name, and change nothing that the replica keeps (protocol §5.9). */
const CHANGE_NOTHING_KEPT: ReadonlySet<string> = new Set([
  'get_session_token',
  'export_page',
  'update_project_last_accessed_by_current_user',
]);
const SCHEDULE = 'work_schedule_update';
const TASK = 'Task';
const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
/** How far clocks may differ: a few Tasks more are fetched for it. */
const CLOCKS_MS = 60_000;
/** More Tasks are left to the event log, which tells of each. */
const TASKS_MAX = 2_000;
/** More entities in one payload are left to the event log. */
const NAMED_MAX = 500;
const DEPTH_MAX = 4;

type Values = Readonly<Record<string, unknown>>;

/** @returns whether a method, known or not, may change what the replica keeps; create, update and their kin do so otherwise. */
export function isOtherWrite(method: string): boolean {
  return !isReadMethod(method) && !CHANGE_NOTHING_KEPT.has(method);
}

/** Every entity that a payload names, as `{"type": …, "id": …}` or, for subscriptions, by `humanUserId`. */
export function namedIn(payload: unknown): readonly EntityRef[] {
  const found: EntityRef[] = [];
  const look = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || depth > DEPTH_MAX || found.length >= NAMED_MAX) return;
    if (isEntityRef(value)) found.push({ type: value.type, id: value.id });
    const { humanUserId: user } = value as Values;
    if (Number.isSafeInteger(user)) found.push({ type: 'HumanUser', id: user as number });
    for (const inner of Object.values(value)) look(inner, depth + 1);
  };
  look(payload, 0);
  return found;
}

/** Who a change of the schedule is about: one project or one person; everybody where it names neither. */
function scopeOf({ project, user }: Values): FilterGroup {
  if (isEntityRef(project)) return and(leaf('project', 'is', { type: project.type, id: project.id }));
  if (isEntityRef(user)) return and(leaf('task_assignees', 'is', { type: user.type, id: user.id }));
  return and();
}

/**
 * Tasks whose dates a change of the work schedule may have moved (protocol §5.9): those that the day lies in, and those
 * that were changed since, which may depend on them. The reply does not say, so the site is asked.
 * @param since when the change was sent.
 */
async function movedTasks(replica: Replica, values: Values, since: Date): Promise<readonly EntityRef[]> {
  const { date } = values;
  if (typeof date !== 'string' || !DATE.test(date) || Number.isNaN(Date.parse(date))) return [];
  if (!replica.schema.types.has(TASK)) return [];
  const day = (offset: number): string =>
    new Date(Date.parse(date) + offset * DAY_MS).toISOString().slice(0, 10);
  const changedSince = `${new Date(since.getTime() - CLOCKS_MS).toISOString().slice(0, 19)}Z`;
  const filters = and(scopeOf(values), {
    logical_operator: 'or',
    conditions: [
      and(leaf('start_date', 'less_than', day(1)), leaf('due_date', 'greater_than', day(-1))),
      leaf('updated_at', 'greater_than', changedSince),
    ],
  });
  const found: EntityRef[] = [];
  const pages = replica.site.readAllById({ type: TASK, fields: ['id'], filters }, { priority: 'client' });
  for await (const page of pages) {
    found.push(...page.results.map(({ id }) => ({ type: TASK, id })));
    if (found.length >= TASKS_MAX) break;
  }
  return found.slice(0, TASKS_MAX);
}

/**
 * Writes through what is not about single entities (protocol §5.9): follow and unfollow, the work schedule, and methods
 * that nobody knows. What it names, and Tasks that a schedule moves, is fetched before the reply.
 * @throws ReaderError as `writeThrough` does.
 */
export function writeOther(parts: WriteParts, call: ApiCall): Promise<Answer> {
  const { method, payload } = call.envelope;
  const since = new Date();
  const settled = async (results?: Json): Promise<void> => {
    const replica = parts.replica();
    const moved =
      method !== SCHEDULE || replica === null || results === undefined
        ? []
        : await movedTasks(replica, (payload ?? {}) as Values, since).catch((error: unknown) => {
            parts.log.warn(
              { err: error, requestId: call.requestId },
              'the Tasks of a schedule are not known',
            );
            return [];
          });
    const changed = [...namedIn(payload), ...moved];
    await parts.debt.settle(
      replica,
      replica === null ? changed : changed.filter(({ type }) => replica.schema.types.has(type)),
    );
  };
  return writeThrough(parts, call, settled);
}
