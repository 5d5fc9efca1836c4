import type { Entity } from './entity-table.ts';
import type { SiteData } from './site-data.ts';

/** What a permission rule set allows. The real site's are far finer; these are the kinds that matter to a reader. */
export interface PermissionRules {
  readonly code: string;
  /** Whether all projects are seen, or only those whose `users` hold the person. */
  readonly projects: 'all' | 'own';
  readonly hiddenTypes: ReadonlySet<string>;
  /** `Type.field` */
  readonly hiddenFields: ReadonlySet<string>;
  readonly writes: 'all' | 'notes' | 'none';
  readonly deletes: boolean;
  readonly schema: boolean;
  readonly sudo: boolean;
}

const EVERYTHING: PermissionRules = {
  code: 'admin',
  projects: 'all',
  hiddenTypes: new Set(),
  hiddenFields: new Set(),
  writes: 'all',
  deletes: true,
  schema: true,
  sudo: false,
};

const MONEY_AND_PEOPLE = ['Shot.sg_bid_cost', 'Shot.sg_complexity', 'Task.est_in_mins', 'HumanUser.email'];
const OUTSIDER_TYPES = ['TimeLog', 'ApiUser', 'PermissionRuleSet', 'EventLogEntry', 'DisplayColumn'];

const RULE_SETS: readonly PermissionRules[] = [
  EVERYTHING,
  { ...EVERYTHING, code: 'api_admin', sudo: true },
  { ...EVERYTHING, code: 'manager', schema: false },
  {
    ...EVERYTHING,
    code: 'artist',
    schema: false,
    deletes: false,
    hiddenFields: new Set(['Shot.sg_bid_cost']),
  },
  {
    ...EVERYTHING,
    code: 'vendor',
    projects: 'own',
    hiddenTypes: new Set(OUTSIDER_TYPES),
    hiddenFields: new Set(MONEY_AND_PEOPLE),
    deletes: false,
    schema: false,
  },
  {
    ...EVERYTHING,
    code: 'client',
    projects: 'own',
    hiddenTypes: new Set(OUTSIDER_TYPES),
    hiddenFields: new Set([...MONEY_AND_PEOPLE, 'Task.task_assignees', 'Version.sg_path_to_frames']),
    writes: 'notes',
    deletes: false,
    schema: false,
  },
  { ...EVERYTHING, code: 'api_reader', writes: 'none', deletes: false, schema: false },
];

/** Codes of the rule sets that a seeded site has. */
export const RULE_SET_CODES: readonly string[] = RULE_SETS.map((rules) => rules.code);

/** The rules of a person or script: those of its rule set, or, where it has none that is known, an administrator's. */
export function rulesOf(data: SiteData, user: Entity): PermissionRules {
  const link = data.link(user.stored('permission_rule_set'));
  const code = link === null ? null : data.find(link)?.stored('code');
  const fallback = user.type === 'ApiUser' ? 'api_admin' : 'admin';
  return RULE_SETS.find((rules) => rules.code === (code ?? fallback)) ?? EVERYTHING;
}
