import type { Json } from '@understudy/domain/entity';
import type { Entity } from './entity-table.ts';
import type { Actor } from './event-log.ts';
import type { Faults } from './faults.ts';
import type { SiteData } from './site-data.ts';
import { SandboxFault } from './site-fault.ts';

/** Keys and passwords of the sandbox's scripts and people; every person's password is `sandbox`. */
export const SCRIPT_KEYS: Readonly<Record<string, string>> = {
  understudy: 'sandbox-key',
  pipeline: 'pipeline-key',
};
export const PASSWORD = 'sandbox';

/** Session tokens handed out, and whose they are. */
export type Sessions = Map<string, Entity>;

const refused = (message: string): SandboxFault => new SandboxFault(102, message);

/** @returns who calls. @throws SandboxFault 102 as protocol §1.2, §1.3 have it. */
export function authenticate(data: SiteData, sessions: Sessions, faults: Faults, auth: unknown): Actor {
  if (typeof auth !== 'object' || auth === null) throw refused("Can't authenticate: no credentials");
  const given = auth as Readonly<Record<string, Json>>;
  const text = (key: string): string | null => (typeof given[key] === 'string' ? given[key] : null);
  const entity = who(data, sessions, faults, text);
  let user = entity;
  const sudo = text('sudo_as_login');
  if (sudo !== null) {
    const target = findPerson(data, sudo);
    if (entity.type !== 'ApiUser' || target === undefined) {
      throw new SandboxFault(104, `The user does not have permission to 'sudo': ${sudo}`);
    }
    user = target;
  }
  return {
    user: { type: user.type, id: user.id },
    sessionUuid: text('session_uuid'),
    sudoActualUser: sudo === null ? null : { type: entity.type, id: entity.id },
  };
}

function who(
  data: SiteData,
  sessions: Sessions,
  faults: Faults,
  text: (key: string) => string | null,
): Entity {
  const login = text('user_login');
  if (login !== null) {
    const person = findPerson(data, login);
    if (person === undefined || text('user_password') !== PASSWORD || faults.revoked.includes(login)) {
      throw refused(`Can't authenticate user '${login}'.`);
    }
    return person;
  }
  const script = text('script_name');
  if (script !== null) {
    const found = [...data.all('ApiUser')].find(
      (item) => !item.retired && item.stored('firstname') === script,
    );
    const key = Object.hasOwn(SCRIPT_KEYS, script) ? SCRIPT_KEYS[script] : undefined;
    if (
      found === undefined ||
      key === undefined ||
      text('script_key') !== key ||
      faults.revoked.includes(script)
    ) {
      throw refused(`Can't authenticate script '${script}'`);
    }
    return found;
  }
  const token = text('session_token');
  const session = token === null ? undefined : sessions.get(token);
  if (session === undefined)
    throw refused(`Can't authenticate session token ending with '${token?.slice(-4) ?? ''}'`);
  return session;
}

function findPerson(data: SiteData, login: string): Entity | undefined {
  return [...data.all('HumanUser')].find((item) => !item.retired && item.stored('login') === login);
}
