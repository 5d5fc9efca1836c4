import type { Sessions } from './auth.ts';
import type { Entity } from './entity-table.ts';

/** Who the browser's cookie `_session_id` says it is: the site's pages take a session token there (protocol §5.8, §5.10). */
export function sessionOf(sessions: Sessions, cookie: string | undefined): Entity | undefined {
  for (const part of (cookie ?? '').split(';')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    if (name === '_session_id') return sessions.get(decodeURIComponent(value));
  }
  return undefined;
}
