import type { EntityRef, Json } from '@understudy/domain/entity';
import type { Entity } from './entity-table.ts';
import type { Actor } from './event-log.ts';
import type { Faults } from './faults.ts';
import { rulesOf } from './permissions.ts';
import type { Sessions } from './sessions.ts';
import type { SiteData } from './site-data.ts';
import { badData, SandboxFault } from './site-fault.ts';

/** A script of the seeded studio. */
export interface Script {
  readonly key: string;
  /** Code of its permission rule set. */
  readonly rules: string;
  /** Whether its writes are logged (protocol §6.6). */
  readonly logs: boolean;
}

/** The scripts by name; a script that is made later has its name and `-key` as its key. */
export const SCRIPTS: Readonly<Record<string, Script>> = {
  understudy: { key: 'sandbox-key', rules: 'api_admin', logs: true },
  pipeline: { key: 'pipeline-key', rules: 'api_admin', logs: true },
  quiet: { key: 'quiet-key', rules: 'api_admin', logs: false },
  readonly: { key: 'readonly-key', rules: 'api_reader', logs: true },
};
/** Everybody's password, and the code of everybody's second factor. */
export const PASSWORD = 'sandbox';
export const TWO_FACTOR_CODE = '123456';

/** What credentials are checked against. */
export interface AuthSite {
  readonly data: SiteData;
  readonly sessions: Sessions;
  readonly faults: Faults;
}

const refused = (message: string): SandboxFault => new SandboxFault(102, message);

/** Keys that are not known are tolerated (protocol §1.2). */
type Given = (key: string) => string | null;

/** @returns who calls. @throws SandboxFault 102, 106, 108 or 110 as protocol §1.2, §1.3 have it, 104 for sudo. */
export function authenticate(site: AuthSite, auth: unknown): Actor {
  if (typeof auth !== 'object' || auth === null) throw refused("Can't authenticate: no credentials");
  const values = auth as Readonly<Record<string, Json>>;
  const given: Given = (key) => {
    const value = Object.hasOwn(values, key) ? values[key] : null;
    return typeof value === 'string' ? value : null;
  };
  const entity = who(site, given, values['reject_if_expired'] === true);
  const sudo = given('sudo_as_login');
  const user = sudo === null ? entity : sudoUser(site, entity, sudo);
  return {
    user: { type: user.type, id: user.id },
    sessionUuid: uuidOf(given('session_uuid')),
    sudoActualUser: sudo === null ? null : { type: entity.type, id: entity.id },
  };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What a field of data type uuid makes of text (protocol §3.5). */
export function uuidOf(text: string | null): string | null {
  return text !== null && UUID.test(text) ? text.toLowerCase() : null;
}

/** A login beats a script, which beats a session. */
function who(site: AuthSite, given: Given, rejectIfExpired: boolean): Entity {
  const login = given('user_login');
  if (login !== null) return personWithPassword(site, login, given);
  const script = given('script_name');
  if (script !== null) return scriptWithKey(site, script, given('script_key'));
  const token = given('session_token') ?? '';
  const user = site.sessions.use(token, rejectIfExpired);
  const found = user === undefined ? undefined : site.data.find(user);
  if (found === undefined || !isWelcome(site.faults, found)) {
    throw refused(`Can't authenticate session token ending with '${token.slice(-4)}'`);
  }
  return found;
}

function personWithPassword(site: AuthSite, login: string, given: Given): Entity {
  const { faults } = site;
  const blocked = `Can't authenticate user '${login}'.`;
  if (faults.sso) {
    throw new SandboxFault(108, `${blocked} This site uses single sign-on: passwords are not allowed.`);
  }
  if (faults.identity) {
    throw new SandboxFault(110, `${blocked} This site uses Autodesk Identity: passwords are not allowed.`);
  }
  const person = named(site.data, 'HumanUser', 'login', login);
  if (person === undefined || given('user_password') !== PASSWORD || !isWelcome(faults, person)) {
    throw refused(blocked);
  }
  if (faults.twoFactor.includes(login)) {
    const code = given('auth_token');
    if (code === null) throw new SandboxFault(106, 'Two factor authentication required.');
    if (code !== TWO_FACTOR_CODE) throw refused(blocked);
  }
  return person;
}

function scriptWithKey(site: AuthSite, name: string, key: string | null): Entity {
  const script = named(site.data, 'ApiUser', 'firstname', name);
  const right = Object.hasOwn(SCRIPTS, name) ? SCRIPTS[name]?.key : `${name}-key`;
  if (script === undefined || key !== right || !isWelcome(site.faults, script)) {
    throw refused(`Can't authenticate script '${name}'`);
  }
  return script;
}

/** Whether somebody still has access: not retired, not disabled, not revoked. */
function isWelcome(faults: Faults, user: Entity): boolean {
  const name = String(user.stored(user.type === 'ApiUser' ? 'firstname' : 'login'));
  return !user.retired && user.stored('sg_status_list') !== 'dis' && !faults.revoked.includes(name);
}

function sudoUser(site: AuthSite, actual: Entity, login: string): EntityRef {
  const target = named(site.data, 'HumanUser', 'login', login);
  const isAllowed = rulesOf(site.data, actual).sudo && target !== undefined && isWelcome(site.faults, target);
  if (!isAllowed) {
    throw badData(`The user does not have permission to 'sudo': ${site.data.displayName(actual)}`);
  }
  return target;
}

function named(data: SiteData, type: string, field: string, name: string): Entity | undefined {
  for (const entity of data.all(type)) if (!entity.retired && entity.stored(field) === name) return entity;
  return undefined;
}
