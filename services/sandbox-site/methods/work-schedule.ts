import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { Caller, Site } from '../caller.ts';
import type { StoredEntity } from '../entity-table.ts';
import { badData, badRequest } from '../site-fault.ts';

/** Exceptions of the studio's week are kept as entities of a type that nobody can read. */
const RULE = '_WorkDayRule';
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DAYS_MAX = 4_000;
const DAY_MS = 86_400_000;

type Values = Readonly<Record<string, Json>>;

const idIn = (value: Json | undefined): number | null => (isEntityRef(value) ? value.id : null);

function dateIn(method: string, values: Values, name: string): string {
  const date = values[name];
  if (typeof date !== 'string' || !DATE.test(date)) {
    throw badRequest(`API ${method}() invalid/missing date string '${name}': ${JSON.stringify(date)}`);
  }
  return date;
}

function ruleOf(
  site: Site,
  date: string,
  project: number | null,
  user: number | null,
): StoredEntity | undefined {
  for (const rule of site.data.all(RULE)) {
    const isIt =
      rule.stored('date') === date && rule.stored('project') === project && rule.stored('user') === user;
    if (isIt) return rule;
  }
  return undefined;
}

/** `work_schedule_read` (protocol §5.9): who is nearer decides: the person, then the project, then the studio. */
export function workScheduleRead(site: Site, _caller: Caller, payload: unknown): Json {
  const method = 'work_schedule_read';
  const values = (payload ?? {}) as Values;
  const [from, to] = [dateIn(method, values, 'start_date'), dateIn(method, values, 'end_date')];
  const [project, user] = [idIn(values['project']), idIn(values['user'])];
  const days: Record<string, Json> = {};
  const first = Date.parse(`${from}T00:00:00Z`);
  const count = (Date.parse(`${to}T00:00:00Z`) - first) / DAY_MS + 1;
  if (count > DAYS_MAX) throw badRequest(`API ${method}() spans more than ${DAYS_MAX} days`);
  for (let index = 0; index < count; index += 1) {
    const date = new Date(first + index * DAY_MS).toISOString().slice(0, 10);
    const levels = [
      { reason: 'USER_EXCEPTION', rule: user === null ? undefined : ruleOf(site, date, null, user) },
      { reason: 'PROJECT_EXCEPTION', rule: project === null ? undefined : ruleOf(site, date, project, null) },
      { reason: 'STUDIO_EXCEPTION', rule: ruleOf(site, date, null, null) },
    ];
    const decided = levels.find((level) => level.rule !== undefined);
    const weekday = new Date(first + index * DAY_MS).getUTCDay();
    days[date] =
      decided?.rule === undefined
        ? { working: weekday !== 0 && weekday !== 6, description: null, reason: 'STUDIO_WORK_WEEK' }
        : {
            working: decided.rule.stored('working'),
            description: decided.rule.stored('description'),
            reason: decided.reason,
          };
  }
  return days;
}

/** `work_schedule_update`: of the studio, a project or a person, not of two of them. */
export function workScheduleUpdate(site: Site, caller: Caller, payload: unknown): Json {
  const method = 'work_schedule_update';
  if (caller.rules.writes !== 'all')
    throw badData(`API ${method}() not permitted. Rule: ${caller.rules.code}`);
  const values = (payload ?? {}) as Values;
  const date = dateIn(method, values, 'date');
  const { working, description = null, project = null, user = null } = values;
  if (typeof working !== 'boolean') throw badRequest(`API ${method}() invalid/missing boolean 'working'`);
  if (project !== null && user !== null)
    throw badRequest(`API ${method}() takes a project or a user, not both`);
  const [projectId, userId] = [idIn(project), idIn(user)];
  const { data } = site;
  const rule = ruleOf(site, date, projectId, userId) ?? data.add(RULE, data.allocateId(RULE), []);
  const stored = { date, working, description, project: projectId, user: userId };
  for (const [name, value] of Object.entries(stored)) data.set(rule, name, value);
  return { date, working, description, project, user };
}
